"""Networks of the user's own as models of a suite: of every form that `bench attack` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from attacks.classifiers import CLASSIFIERS, AnyClassifier, Ready
from attacks.classifiers.contracts import ClassifierFacts
from bench.core import usercode
from bench.core.arguments import numbers
from bench.core.digests import OURS, digest_of
from bench.core.files import user_path
from bench.core.randomness import forked, stream_seed
from bench.core.registry import Entry
from bench.models.contents import contents_of, watched
from bench.models.users import FILES, Preparation, Prepared, load_model
from bench.models.zoo import ZOOS

SETTINGS = {"weights": "", "range": "0,1", "mean": "", "std": ""}
"""What a suite may say of a network of the user's, as `bench attack` has it, and what is usual."""


PLAIN = Preparation()


@dataclass(frozen=True)
class Brought(Ready):
    """A network by its name, with what it needs to read images in [0, 1]."""

    name: str
    weights: str = ""
    preparation: Preparation = PLAIN

    @property
    def missing(self) -> str:
        return ""

    def load(self) -> Prepared:
        """The network; what its code draws is drawn from streams of its name."""
        with forked(stream_seed("brought", self.name)):
            return load_model(self.name, self.weights or None, self.preparation)

    @property
    def digest(self) -> str:
        """A sha256 over all that it holds, the files that it reads, and its source: another network
        of the same name is another model. Raises UsageError where it can't be had.
        """
        if self._is_code:
            return _digest(self)
        return _digest_of_files(self, *map(_version, (self.name, self.weights)))

    @property
    def _is_code(self) -> bool:
        return Path(self.name).suffix not in FILES and self.name.partition(":")[0] not in ZOOS


def _version(name: str) -> tuple[int, int]:
    """What tells that a file was written anew."""
    try:
        found = user_path(name).stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _digest(part: Brought) -> str:
    found = hashlib.sha256(repr(part.preparation).encode())
    found.update(_contents(part.name, part).encode())
    if part._is_code:
        found.update(digest_of([part.name.partition(":")[0]]).encode())
    elif Path(part.name).suffix in FILES:
        found.update(user_path(part.name).read_bytes())
    return found.hexdigest()


def _contents(name: str, part: Ready) -> str:
    """What a network holds when it is loaded."""
    with watched(name) as files:
        model = part.load()
    return contents_of(model, files)


@cache
def _digest_of_files(part: Brought, *versions: tuple[int, int]) -> str:
    return _digest(part)


def held_by(entry: Entry[Any, ClassifierFacts]) -> str:
    """A sha256 over what a network of the user's holds; empty for one that is trained here, or
    whose weights come with us under a digest that is checked. Raises UsageError where it can't be
    had.
    """
    part = entry.part
    if isinstance(part, Brought):
        return part.digest
    if not isinstance(part, Ready) or part.missing or entry.origin.partition(".")[0] in OURS:
        return ""
    return _contents(entry.name, part)


def is_brought(name: str) -> bool:
    """Whether a name stands for a network of the user's: of a file or a zoo, or code that gives one
    and registers nothing.
    """
    if name in CLASSIFIERS:
        return False
    if Path(name).suffix in FILES or name.partition(":")[0] in ZOOS:
        return True
    if ":" not in name:
        return False
    found = usercode.load(name)
    if isinstance(found, AnyClassifier):
        return False
    return all(entry.part is not found for entry in CLASSIFIERS.entries()) and callable(found)


def brought(name: str, settings: Mapping[str, Any]) -> Entry[Any, ClassifierFacts]:
    """A network of the user's as a classifier; a file of a program has weights of its own, whatever
    the grid sets for others. Raises UsageError for settings that are none.
    """
    chosen = {key: settings.get(key, usual) for key, usual in SETTINGS.items()}
    low, high = numbers("range", chosen["range"], 2)
    mean, std = (numbers(key, chosen[key]) for key in ("mean", "std"))
    preparation = Preparation(low, high, mean, std)
    preparation.refuse()
    weights = "" if Path(name).suffix in FILES else str(chosen["weights"])
    part = Brought(name, weights, preparation)
    return Entry(name, part, "", "A network of the user's own", __name__, ClassifierFacts())

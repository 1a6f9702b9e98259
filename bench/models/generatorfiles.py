"""A generator of the user's own in a file, or in a folder with a file for each seed, such as 0.npy,
1.npy: then it was trained as often.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

from bench.core.errors import UsageError
from bench.core.files import user_path
from bench.datasets.images import shown
from generative.recipes.ready import Contents, Ready


@dataclass(frozen=True)
class FromFile(Ready):
    """path: a file, or a folder with a file for each seed. suffixes: of such files."""

    path: str
    suffixes: tuple[str, ...]

    @final
    def contents(self, origin: str) -> Contents:
        files = self._files()
        if files is None:
            return Contents(_digest(user_path(self.path)), once=self.once)
        return Contents(by_seed={seed: _digest(path) for seed, path in sorted(files.items())})

    def place(self, seed: int) -> Path:
        """The file of a seed. Raises UsageError where it has none."""
        files = self._files()
        if files is None:
            return user_path(self.path)
        if seed not in files:
            known = ", ".join(map(str, sorted(files)[:8]))
            raise UsageError(f"{shown(self.path)} has no file for seed {seed}: it has {known}")
        return files[seed]

    def _files(self) -> dict[int, Path] | None:
        """The files by seed; None where one stands for all."""
        return _by_seed(user_path(self.path), self.suffixes)

    def places(self) -> list[Path]:
        """Every file."""
        files = self._files()
        return [user_path(self.path)] if files is None else [*files.values()]

    @property
    @abstractmethod
    def once(self) -> bool:
        """Whether one file draws the same for every seed."""

    @property
    def note(self) -> str:
        if self._files() is not None:
            return ""
        if self.once:
            return "samples of one file, measured once: intervals over the samples; not compared"
        return "one trained model: its seeds are draws, and no trainings; not compared"


def _digest(path: Path) -> str:
    """A sha256 over a file, or over every image below a folder and its name."""
    if not path.exists():
        raise UsageError(f"{shown(path)} is not there")
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for file in files:
        if path.is_dir():
            found.update(f"{file.relative_to(path)}\0".encode(errors="surrogateescape"))
        found.update(_digest_of_file(file, *version_of(file)).encode())
    return found.hexdigest()


def version_of(path: Path) -> tuple[int, int]:
    """What tells that a file was written anew."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@cache
def _digest_of_file(path: Path, *version: int) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"can't read {shown(path)}: {error.strerror}") from error


def _by_seed(path: Path, suffixes: Sequence[str]) -> dict[int, Path] | None:
    """The files of a folder that are named by their seeds; None where it has none, or is no
    folder. Raises UsageError for two of one seed, and for files that lack a number.
    """
    if not path.is_dir():
        return None
    files = [p for p in sorted(path.iterdir()) if p.suffix.lower() in suffixes and p.is_file()]
    found: dict[int, Path] = {}
    for file in files:
        if not (file.stem.isascii() and file.stem.isdigit()):
            raise UsageError(
                f"{shown(file)}: expected files named by their seeds, such as 0{file.suffix}"
            )
        if int(file.stem) in found:
            raise UsageError(f"{shown(path)} has two files of seed {int(file.stem)}")
        found[int(file.stem)] = file
    return found or None

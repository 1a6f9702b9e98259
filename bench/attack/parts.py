"""A long evaluation in parts of so many images: each finished one is a file, and is not done again.

A part is the same whether it is measured now or read: its images have the seeds of their places, it
is attacked by itself, and what a network draws is drawn from a stream of the part's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from attacks.engine import chunk_of
from bench.core.digests import digest_of
from bench.core.randomness import forked, stream_seed
from bench.core.trees import BrokenTreeError, load_tree, save_tree
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.observing import Seen, as_tree, joined, observe, of_tree
from bench.tasks.robustness.settings import ChosenAttack, origins_of

SUFFIX = ".safetensors"
DIGITS = 20


@dataclass(frozen=True)
class Parts:
    """size: images of a part; 0: as many as are attacked at once. folder: where finished parts are
    kept; None: nowhere. about: all that decides a part beside its images. attack: its name.
    """

    size: int
    folder: Path | None
    about: Mapping[str, Any]
    attack: str
    seed: int

    def seen(
        self, chosen: ChosenAttack, trial: Trial, notify: Callable[[str], None]
    ) -> tuple[Seen, int, int]:
        """What was seen of a trial, part by part; how many parts there are, how many were read."""
        n, size = len(trial.images), self.size or chunk_of(trial.images)
        found, read = [], 0
        for first in range(0, n, size):
            own = trial.part(first, size)
            tell = partial(_tell, notify, chosen, first // size, -(-n // size))
            path = self._path(own, first)
            kept = None if path is None else _kept(path, own, chosen)
            read += kept is not None
            found.append(kept or self._measured(chosen, own, first, tell, path))
            if found[-1].wrong:
                break
        return joined(found), len(found), read

    def _measured(
        self,
        chosen: ChosenAttack,
        own: Trial,
        first: int,
        tell: Callable[[int], None],
        path: Path | None,
    ) -> Seen:
        with forked(stream_seed(self.seed, "attack", "part", first)):
            seen = observe(chosen, own, tell)
        if path is not None and not seen.wrong:
            save_tree(path, as_tree(seen))
        return seen

    def _path(self, own: Trial, first: int) -> Path | None:
        """The file of a part: its name is a digest of all that decides what is in it."""
        if self.folder is None:
            return None
        code = digest_of((__name__, *origins_of(self.attack)))
        about = json.dumps({**self.about, "first": first, "code": code}, sort_keys=True)
        digest = hashlib.sha256(about.encode())
        for values in (own.images, own.labels, own.seeds):
            digest.update(values.cpu().numpy().tobytes())
        return self.folder / f"{digest.hexdigest()[:DIGITS]}{SUFFIX}"


def _tell(
    notify: Callable[[str], None], chosen: ChosenAttack, part: int, parts: int, done: int
) -> None:
    """Which radius of which part comes next."""
    radii = chosen.radii
    which = f"part {part + 1} of {parts}, " if parts > 1 else ""
    if not radii:
        notify(f"{which}search")
    elif done < len(radii):
        notify(f"{which}radius {radii[done]:.4g}, {done + 1} of {len(radii)}")


def _kept(path: Path, own: Trial, chosen: ChosenAttack) -> Seen | None:
    """What a file holds; None where there is none, or it is damaged."""
    try:
        seen = of_tree(load_tree(path), own.images.device)
    except (OSError, BrokenTreeError, KeyError, TypeError, ValueError):
        return None
    whole = seen.attacked.shape == own.images.shape and len(seen.steps) == len(chosen.radii or [0])
    return seen if whole else None

"""The contract of trackers: finished cells in, each once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from bench.core.errors import UsageError
from bench.core.registry import Registry

Setting = str | int | float | bool
SHORT = 12
"""Letters of a key that tell a cell from those of other settings or code."""


class Scalar(NamedTuple):
    """A score on the way of a training."""

    metric: str
    step: int
    value: float


@dataclass(frozen=True, eq=False)
class Logged:
    """A finished cell as a tracker takes it. name: block/data set/row/seed, slashes between them
    alone. curves: scores on the way, rising in steps for each metric. finals: scores at the end, by
    metric, with the radius where they are of one. about: status, reason, commit and the like.
    picture: of its samples, uint8 [h, w, 3].
    """

    key: str
    name: str
    settings: Mapping[str, Setting]
    curves: Sequence[Scalar] = ()
    finals: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    picture: np.ndarray | None = None

    @property
    def fine(self) -> bool:
        """Whether it was measured."""
        return self.about.get("status") in ("ok", "diverged")

    @property
    def last(self) -> int:
        """The step that the final scores are of; 0 where nothing was trained."""
        return max((scalar.step for scalar in self.curves), default=0)


@dataclass(frozen=True)
class Tracker(ABC):
    """One place of one tracker. folder: of the run, for trackers that keep files beside it.
    project: what the run's cells have in common, suite and tier. place: where to instead of the
    usual; empty: the usual.
    """

    folder: Path
    project: str
    place: str = ""

    @property
    @abstractmethod
    def where(self) -> str:
        """What to say of where it keeps what it is given."""

    @abstractmethod
    def refuse(self) -> None:
        """Raise UsageError where it can't be used: not installed, or no such place."""

    @abstractmethod
    def known(self) -> Collection[str]:
        """How the keys of the cells begin that it has, `SHORT` letters of each."""

    @abstractmethod
    def log(self, cell: Logged) -> None:
        """Keep a cell that it has not. What is cut off in the middle is not known afterwards."""

    @abstractmethod
    def conclude(self, verdicts: str) -> None:
        """Keep what papers claim of the run and what it says to that, as Markdown."""


@dataclass(frozen=True)
class TrackerFacts:
    """extra: what to install. place: what may stand after `=`."""

    extra: str
    place: str


TRACKERS: Registry[type[Tracker], TrackerFacts] = Registry(
    "tracker", TrackerFacts, listed_as="trackers"
)


def needed(module: str, extra: str) -> ModuleType:
    """A module that an extra brings. Raises UsageError where it is not installed."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{module.partition('.')[0]} is not installed: pip install 'minimax-bench[{extra}]', "
            f"or {extra} itself"
        ) from error

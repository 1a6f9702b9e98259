"""What a task promises: to resolve a point of a grid, and to measure a cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.core.registry import NoFacts, Registry
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from generative import Fitted
from results.rows import RADIUS


@dataclass(frozen=True)
class Value:
    """One measured number. `final`: of the finished cell, not of the way there."""

    metric: str
    value: float
    std_error: float | None = None
    n: int | None = None
    step: int | None = None
    final: bool = True
    epsilon: float | None = None
    norm: str = ""
    label: str = ""
    direction: str = "none"
    version: int = 1
    outcomes: str = ""
    examples: str = ""


@dataclass(frozen=True)
class Measurement:
    """What a task found. diverged: why a training left the finite numbers, or empty. invalid:
    what a part did that it may not, or empty.

    arrays: what pictures need, written beside the cell.
    """

    values: Sequence[Value]
    diverged: str = ""
    artifact_key: str = ""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    invalid: str = ""


@dataclass(frozen=True)
class Resolved:
    """A point of a grid with everything that decides its number.

    settings: those that matter, each with its value. differing: those that differ from their
    defaults; they are part of the cell's name. modules: whose source makes the number.
    seconds: a forecast. skip: why it can't be measured here. brought: digests of what the user
    brought and no name tells apart; part of the cell's key, and not of its name. by_seed: such of
    each seed, by seed, where a seed has its own; one that is not in it can't be measured. once:
    whether every seed would give the same samples. gives: the metrics that it can have, by their
    names on rows; None where nobody knows. note: what a reader of its row should know. unfit:
    whether it is skipped because its parts don't go together, and not for what is missing here.
    """

    settings: dict[str, Any]
    differing: dict[str, Any]
    fingerprint: str
    modules: tuple[str, ...]
    seconds: float = 1.0
    skip: str = ""
    brought: tuple[str, ...] = ()
    gives: frozenset[str] | None = None
    by_seed: Mapping[int, str] | None = None
    once: bool = False
    note: str = ""
    unfit: bool = False


@dataclass(frozen=True)
class Bench:
    """What a cell finds at its place of work."""

    artifacts: ArtifactStore
    device: str = "cpu"


class Task(ABC):
    """How a cell of one kind is measured.

    axes: of its grid. needs: what a data set must offer, of bench.datasets.OFFERED. takes_mixtures:
    whether a suite's own [[mixture]] tables are data sets of it. ensembles: whether seeds can be
    trained side by side (setting `ensemble`). strength: what the `epsilon` of its rows is.
    """

    axes: tuple[str, ...]
    needs: frozenset[str] = frozenset()
    takes_mixtures: bool = False
    ensembles: bool = False
    strength: str = RADIUS

    @abstractmethod
    def every(self, axis: str) -> list[str]:
        """What `*` stands for on an axis."""

    @abstractmethod
    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        """Check a point of a grid. Raises UsageError for unknown parts or settings."""

    @abstractmethod
    def metric_facts(self, name: str) -> dict[str, Any]:
        """The facts of a metric it can emit. Raises UsageError for an unknown one."""

    @abstractmethod
    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        """Do the work."""

    @abstractmethod
    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        """What tables, pictures and citations need to know: by axis, facts of the cell's part.

        `papers` lists what to cite for it, `role` where its row belongs.
        """

    @abstractmethod
    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        """Kind and key of the artifact that the cell trains or reuses, if any."""


class SamplingTask(Task):
    """A task whose cells train something that makes samples."""

    @abstractmethod
    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        """The first `n` samples that the cell's scores were computed from, and more of them where
        fewer were scored: points [n, d], or images uint8 [n, c, h, w].

        Raises UsageError where it diverged or is not trained.
        """

    @abstractmethod
    def fitted(self, cell: Cell, bench: Bench) -> Fitted:
        """The cell's trained model. Raises UsageError where it diverged or is not trained."""


TASKS: Registry[Task, NoFacts] = Registry("task", NoFacts)

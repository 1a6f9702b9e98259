"""The contract of executors: cells in, outcomes out, in any order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from bench.core.registry import NoFacts, Registry
from bench.run.runner import Context, Outcome
from bench.suites.cell import Cell


@dataclass(frozen=True)
class Executor(ABC):
    """workers: how many cells run at once. timeout: seconds a cell may take, or None. Further
    fields are options of the executor's own, None where nobody said anything.

    here: whether the cells run on this machine, as many at once as it has cores unless told; else
    `workers` is 0 for as many as there is room for.
    """

    here: ClassVar[bool] = True
    workers: int = 1
    timeout: float | None = None

    def opened(self, cells: Sequence[Cell], context: Context) -> AbstractContextManager[object]:
        """What has to be in reach while cells are run. Raises UsageError where it is not, before
        anything is written.
        """
        return nullcontext()

    @abstractmethod
    def run(self, cells: Sequence[Cell], context: Context) -> Iterator[Outcome]:
        """Run every cell and give each outcome when it is there.

        Timeouts and crashes are written by whoever drives. Raises StoreError where results
        can't be kept.
        """


EXECUTORS: Registry[type[Executor], NoFacts] = Registry("executor", NoFacts)

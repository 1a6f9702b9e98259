"""The contract of executors: cells in, outcomes out, in any order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.core.registry import NoFacts, Registry
from bench.run.runner import Context, Outcome
from bench.suites.cell import Cell


@dataclass(frozen=True)
class Executor(ABC):
    """workers: how many cells run at once. timeout: seconds a cell may take, or None."""

    workers: int = 1
    timeout: float | None = None

    @abstractmethod
    def run(self, cells: Sequence[Cell], context: Context) -> Iterator[Outcome]:
        """Run every cell and give each outcome when it is there.

        Timeouts and crashes are written by whoever drives. Raises StoreError where results
        can't be kept.
        """


EXECUTORS: Registry[type[Executor], NoFacts] = Registry("executor", NoFacts)

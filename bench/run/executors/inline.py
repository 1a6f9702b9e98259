"""One cell after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.core.errors import UsageError
from bench.run.executors.base import EXECUTORS, Executor
from bench.run.runner import Context, Outcome, run_cell
from bench.suites.cell import Cell


@EXECUTORS.register("inline")
class Inline(Executor):
    """For debugging: a breakpoint works, a crash takes all with it."""

    def run(self, cells: Sequence[Cell], context: Context) -> Iterator[Outcome]:
        if self.timeout is not None:
            raise UsageError("`timeout` needs `executor=processes`: a cell can't be cut off inline")
        for cell in cells:
            yield run_cell(cell, context)

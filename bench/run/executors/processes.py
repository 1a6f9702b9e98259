"""Warm worker processes: a crash or a time-out costs one cell, and workers die with the driver."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

from pebble import ProcessExpired, ProcessPool

from bench.core.errors import BenchError, StoreError, one_line
from bench.run.executors.base import EXECUTORS, Executor
from bench.run.executors.lost import lost
from bench.run.runner import Context, Outcome, run_cell
from bench.run.worker import begin
from bench.suites.cell import Cell

RESTARTS = 2


@EXECUTORS.register("processes")
class Processes(Executor):
    """Spawned workers, one thread each, imports done once."""

    def run(self, cells: Sequence[Cell], context: Context) -> Iterator[Outcome]:
        left = {cell.key: cell for cell in cells}
        idle_deaths = 0
        while left:
            before = len(left)
            for outcome in self._pool(list(left.values()), context):
                del left[outcome.key]
                yield outcome
            idle_deaths = 0 if len(left) < before else idle_deaths + 1
            if left and idle_deaths > RESTARTS:
                raise BenchError(
                    "the worker processes die before they begin: `executor=inline` shows why; a "
                    'script that uses processes needs `if __name__ == "__main__":`'
                )

    def _pool(self, cells: Sequence[Cell], context: Context) -> Iterator[Outcome]:
        """The outcomes that one pool gives before it ends or breaks."""
        spawn: Any = multiprocessing.get_context("spawn")
        pool = ProcessPool(
            min(self.workers, len(cells)),
            initializer=begin,
            initargs=(context.folders, context.imports),
            context=spawn,
        )
        work = partial(run_cell, context=context)
        finished: queue.SimpleQueue[tuple[Any, Cell]] = queue.SimpleQueue()
        try:
            with _interrupts_blocked():
                for cell in cells:
                    future = pool.schedule(work, args=(cell,), timeout=self.timeout)
                    future.add_done_callback(lambda done, cell=cell: finished.put((done, cell)))
            for _ in cells:
                future, cell = finished.get()
                outcome = self._outcome(future, cell, context)
                if outcome is None:
                    return
                yield outcome
            pool.close()
            pool.join()
        finally:
            if pool.active:
                pool.stop()
                pool.join()

    def _outcome(self, future: Any, cell: Cell, context: Context) -> Outcome | None:
        """What became of a cell; None where the pool broke before it ran."""
        if future.cancelled():
            return None
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, BrokenProcessPool | CancelledError):
            return None
        if isinstance(error, StoreError):
            raise error
        if isinstance(error, TimeoutError):
            return lost(cell, context, "timeout", f"took longer than {self.timeout:g} s")
        if isinstance(error, ProcessExpired):
            return lost(cell, context, "crashed", _cause(error.exitcode))
        return lost(cell, context, "failed", f"{type(error).__name__}: {one_line(error, 200)}")


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Threads and processes begun inside never see Ctrl-C: it is the driver's to answer."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        try:
            return f"the worker was killed by {signal.Signals(-exitcode).name}"
        except ValueError:
            return f"the worker was killed by signal {-exitcode}"
    return f"the worker exited with code {exitcode}"

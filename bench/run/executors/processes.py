"""Warm worker processes: a crash or a time-out costs one cell, and workers die with the driver."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from pebble import ProcessExpired, ProcessPool

from bench.core.errors import BenchError, StoreError, UsageError, one_line
from bench.run.executors.base import EXECUTORS, Executor
from bench.run.executors.lost import lost
from bench.run.runner import Context, Outcome, run_cell
from bench.run.worker import begin
from bench.suites.cell import Cell

RESTARTS = 2


@dataclass(frozen=True)
class _Place:
    """Workers of one kind. gpu: the only one that they see, or empty for all that there are. at
    once: cells that are given to them before one is done.
    """

    workers: int
    at_once: int
    gpu: str = ""


@EXECUTORS.register("processes")
@dataclass(frozen=True)
class Processes(Executor):
    """Spawned workers, one thread each, imports done once.

    workers_per_gpu: on CUDA, so many for each GPU, which see no other one. A cell that finds too
    little memory beside others is measured once more when these are done, alone on its GPU.
    """

    workers_per_gpu: int | None = None

    def opened(self, cells: Sequence[Cell], context: Context) -> AbstractContextManager[object]:
        """Raises UsageError for workers on GPUs where cells use none."""
        if self.workers_per_gpu is not None:
            if self.workers_per_gpu < 1:
                raise UsageError(
                    f"`workers_per_gpu`: expected at least 1, got {self.workers_per_gpu}"
                )
            if context.device != "cuda":
                raise UsageError(
                    "`workers_per_gpu` is for cells on GPUs, these are measured on the "
                    f"{context.device}: leave it out, or say `device=cuda`"
                )
        return nullcontext()

    def run(self, cells: Sequence[Cell], context: Context) -> Iterator[Outcome]:
        if self.workers_per_gpu is None:
            yield from self._until_done(cells, context, [_Place(self.workers, len(cells))])
            return
        each = self.workers_per_gpu
        short: list[Cell] = []
        by_key, gpus = {cell.key: cell for cell in cells}, visible_gpus()
        for outcome in self._until_done(cells, context, [_Place(each, each, g) for g in gpus]):
            if outcome.status == "oom" and each > 1:
                short.append(by_key[outcome.key])
            else:
                yield outcome
        yield from self._until_done(short, context, [_Place(1, 1, gpu) for gpu in gpus])

    def _until_done(
        self, cells: Sequence[Cell], context: Context, places: Sequence[_Place]
    ) -> Iterator[Outcome]:
        """Every cell's outcome, in pools that are made anew when one breaks."""
        left = {cell.key: cell for cell in cells}
        idle_deaths = 0
        while left:
            before = len(left)
            for outcome in self._pools(list(left.values()), context, places):
                del left[outcome.key]
                yield outcome
            idle_deaths = 0 if len(left) < before else idle_deaths + 1
            if left and idle_deaths > RESTARTS:
                raise BenchError(
                    "the worker processes die before they begin: `executor=inline` shows why; a "
                    'script that uses processes needs `if __name__ == "__main__":`'
                )

    def _pools(
        self, cells: Sequence[Cell], context: Context, places: Sequence[_Place]
    ) -> Iterator[Outcome]:
        """The outcomes that pools give before they end or one breaks."""
        pools = [_pool(place, len(cells), context) for place in places]
        free = [place.at_once for place in places]
        work = partial(run_cell, context=context)
        finished: queue.SimpleQueue[tuple[Any, Cell, int]] = queue.SimpleQueue()
        waiting = deque(cells)

        def fill() -> None:
            with _interrupts_blocked():
                while waiting and any(free):
                    at = max(range(len(free)), key=free.__getitem__)
                    free[at] -= 1
                    cell = waiting.popleft()
                    future = pools[at].schedule(work, args=(cell,), timeout=self.timeout)
                    future.add_done_callback(
                        lambda done, cell=cell, at=at: finished.put((done, cell, at))
                    )

        try:
            fill()
            for _ in cells:
                future, cell, at = finished.get()
                free[at] += 1
                outcome = self._outcome(future, cell, context)
                if outcome is None:
                    return
                fill()
                yield outcome
        finally:
            for pool in pools:
                _end(pool)

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


def _pool(place: _Place, cells: int, context: Context) -> ProcessPool:
    spawn: Any = multiprocessing.get_context("spawn")
    return ProcessPool(
        min(place.workers, cells),
        initializer=begin,
        initargs=(context.folders, context.imports, place.gpu),
        context=spawn,
    )


def _end(pool: ProcessPool) -> None:
    """End a pool, one that broke, too. Its workers go first, all at once: the pool takes its locks
    away, then waits for each of them in turn, and one that is coming up meanwhile would look for a
    lock and put a traceback on the terminal.
    """
    pool.stop()
    manager = getattr(getattr(pool, "_pool_manager", None), "worker_manager", None)
    for worker in [*getattr(manager, "workers", {}).values()]:
        worker.terminate()
    pool.join()


def visible_gpus() -> list[str]:
    """The GPUs of this machine, as a worker is told to see one: all, or those that the user's own
    CUDA_VISIBLE_DEVICES has.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return [one.strip() for one in chosen.split(",") if one.strip()] or [
        str(index) for index in range(torch.cuda.device_count())
    ]


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

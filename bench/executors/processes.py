"""Warm worker processes: a crash or a time-out costs one cell, and workers die with the driver."""

from __future__ import annotations

import datetime
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, TimeoutError
from functools import partial
from typing import Any

from pebble import ProcessExpired, ProcessPool

from bench import usercode
from bench.errors import BenchError
from bench.executors.base import EXECUTORS, Executor
from bench.runner import Context, Outcome, run_cell, stamp
from bench.suite import Cell
from results.store import RunDirectory


@EXECUTORS.register("processes")
class Processes(Executor):
    """Spawned workers, one thread each, imports done once."""

    def run(self, cells: Sequence[Cell], context: Context) -> Iterator[Outcome]:
        spawn: Any = multiprocessing.get_context("spawn")
        pool = ProcessPool(
            min(self.workers, len(cells)), initializer=_begin, initargs=(context,), context=spawn
        )
        work = partial(run_cell, context=context)
        finished: queue.SimpleQueue[tuple[Any, Cell]] = queue.SimpleQueue()
        try:
            for cell in cells:
                future = pool.schedule(work, args=(cell,), timeout=self.timeout)
                future.add_done_callback(lambda done, cell=cell: finished.put((done, cell)))
            for _ in cells:
                future, cell = finished.get()
                yield self._outcome(future, cell, context)
            pool.close()
            pool.join()
        finally:
            if pool.active:
                pool.stop()
                pool.join()

    def _outcome(self, future: Any, cell: Cell, context: Context) -> Outcome:
        try:
            return future.result()
        except TimeoutError:
            return _lost(cell, context, "timeout", f"took longer than {self.timeout:g} s")
        except ProcessExpired as error:
            return _lost(cell, context, "crashed", _cause(error.exitcode))
        except CancelledError as error:
            raise BenchError(
                "the worker processes could not start; --executor inline shows why"
            ) from error


def _lost(cell: Cell, context: Context, status: str, reason: str) -> Outcome:
    """The record of a cell whose worker can't write one any more."""
    run = RunDirectory(context.run)
    try:
        finished = run.read_cell(cell.key)
    except ValueError:
        finished = None
    if finished is not None and finished["status"] == "ok":
        return Outcome(cell.key, "ok", "", finished["seconds"])
    now = datetime.datetime.now(datetime.UTC)
    run.write_cell(stamp(cell, context, status, reason, 0.0, now), {})
    return Outcome(cell.key, status, reason, 0.0)


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        try:
            return f"the worker was killed by {signal.Signals(-exitcode).name}"
        except ValueError:
            return f"the worker was killed by signal {-exitcode}"
    return f"the worker exited with code {exitcode}"


def _begin(context: Context) -> None:
    """A worker's first act: die with the driver, leave Ctrl-C to it, find the user's code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    for folder in context.folders:
        usercode.add_folder(folder)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)

"""A worker's first act. Light on purpose: it watches its driver before torch is imported.

Standard library and our own plumbing only; what a worker is told travels as plain tuples.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from bench.core import usercode

VANISHED = 70


def begin(folders: Sequence[str], imports: Sequence[str], gpu: str = "") -> None:
    """Die with the driver, leave Ctrl-C to it, see one GPU alone where one is named, find the
    user's code, import what cells need.
    """
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # read when torch first looks for GPUs
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os._exit = partial(_leave, os._exit)  # type: ignore[assignment]
    usercode.add(folders, imports)


def _leave(leave: Callable[[int], NoReturn], status: int) -> NoReturn:
    """os._exit for a cell's code: with status 0 the pool would wait for ever for its result."""
    leave(status or VANISHED)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)

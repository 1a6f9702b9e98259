"""Cells that are being measured: how far they are and what they draw, for whoever watches a run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.underway import telling
from results.notes import Note, forget, note

LEAST_SECONDS = 1.0
"""Between two notes of a cell that bring nothing to look at."""
KEPT = 400
"""Samples of what is drawn on the way."""


@contextmanager
def noted(key: str, run: Path) -> Iterator[None]:
    """A note in the run's folder that a cell is being measured, and how far its training is; gone
    when it is done. A note that can't be written is none: the cell is measured all the same.
    """
    begun, last = time.time(), -LEAST_SECONDS

    def write(done: int, steps: int, drawn: Any) -> None:
        nonlocal last
        now = time.monotonic()
        if drawn is None and now - last < LEAST_SECONDS:
            return
        last = now
        arrays = {} if drawn is None else {"samples": np.asarray(drawn[:KEPT])}
        with suppress(OSError):
            note(run, Note(key, os.getpid(), begun, done, steps, arrays))

    write(0, 0, None)
    try:
        with telling(write):
            yield
    finally:
        with suppress(OSError):
            forget(run, key)

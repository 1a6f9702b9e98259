"""bench export --log: the finished cells of a run, told to trackers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.core.arguments import checked
from bench.core.errors import Notice
from bench.report.opened import opened
from results.chosen import fits, of_models
from results.runs import refusing_damage
from results.summary import label_of
from results.trackers.logbook import Logbook, trackers


def _warn(text: str) -> None:
    warnings.warn(text, Notice, stacklevel=2)


@checked("warn")
def log(
    run: str,
    to: str | Sequence[str],
    *,
    model: str | Sequence[str] = (),
    warn: Callable[[str], None] = _warn,
) -> dict[str, int]:
    """Tell trackers the finished cells of a run that they have not; how many, by how to look at
    each tracker's.

    run: a folder, a suite's name, a table or a baseline. to: trackers, NAME or NAME=PLACE, as
    `bench list trackers` has them. model: patterns of rows, all unless told. warn: who is told of a
    tracker that fails on the way. Raises UsageError for a tracker that is unknown or can't be used,
    and a pattern that fits nothing.
    """
    asked = (to,) if isinstance(to, str) else tuple(to)
    patterns = (model,) if isinstance(model, str) else tuple(model)
    whole = opened(run)
    of_models(whole.summary(), patterns)
    manifest = whole.manifest
    beside = whole.directory.path
    home = beside if beside.is_dir() else Path("runs", beside.name)
    found = trackers(asked, home, manifest["suite"], manifest["tier"])
    keys = [
        cell["key"]
        for cell in manifest["cells"]
        if not patterns or any(fits(label_of(cell), pattern) for pattern in patterns)
    ]
    counts = {}
    for tracker in found:
        book = Logbook([tracker], warn)
        with refusing_damage(whole.name):
            count = book.take(whole, keys)
            book.conclude(whole)
        if book.trackers:
            counts[tracker.where] = count
    return counts

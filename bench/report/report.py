"""A run, or several, as one HTML file; of two runs it says what changed between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.core.arguments import checked
from bench.core.errors import UsageError
from bench.core.files import refuse_unwritable, user_path, write_atomically
from bench.gate.compare import comparison
from bench.report.opened import opened
from results.gate.layouts import layouts
from results.pages.page import Extra, page

MEGABYTE = 1_000_000
CHANGED = "The gate's verdicts on {new}, held against {base}: {code}."
CODES = {0: "nothing got worse", 3: "something got worse", 4: "cells are missing or failed"}
UNSURE = "the seeds can't tell"


@checked()
def report(run: str, *more: str, output: str = "report.html", pictures: float = 3.0) -> Path:
    """Write the page of a run, or of several side by side, and say where.

    run: a folder, a suite's name, a table (.csv, .parquet) or a baseline; of tables there are no
    pictures. output: the file. pictures: megabytes of samples and pictures; those without room are
    named. The same runs give the same bytes. Nothing of a run is executed. Raises UsageError where
    there is no such run, and for a file that can't be written.
    """
    if not 0 <= pictures <= 1_000:
        raise UsageError(f"`pictures`: expected 0 to 1,000 megabytes, got {pictures:g}")
    refuse_unwritable({"output": output})
    runs = [opened(name) for name in (run, *more)]
    text = page(runs, list(_changes([run, *more])), int(pictures * MEGABYTE))
    path = user_path(output)
    write_atomically(path, text.encode("utf-8"))
    return path


def _changes(runs: Sequence[str]) -> Iterator[Extra]:
    """Of exactly two runs the gate's verdicts, the first one's numbers before the second's."""
    if len(runs) != 2:
        return
    base, new = runs
    try:
        found = comparison(base, new)
    except UsageError:
        return
    about = CHANGED.format(base=base, new=new, code=CODES.get(found.exit_code, UNSURE))
    yield Extra("what changed", about, [each for each in layouts(found) if each.heads])

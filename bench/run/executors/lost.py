"""The record of a cell whose worker can't write one any more."""

from __future__ import annotations

from bench.run.runner import Context, Outcome, stamp
from bench.suites.cell import Cell
from results.rows import FINAL
from results.store import RunDirectory


def lost(cell: Cell, context: Context, status: str, reason: str) -> Outcome:
    """Write it, unless the worker had finished the cell before it was lost: that stands."""
    run = RunDirectory(context.run)
    try:
        finished = run.read_cell(cell.key)
    except ValueError:
        finished = None
    if finished is not None and finished["status"] in FINAL:
        return Outcome(cell.key, finished["status"], finished["reason"], finished["seconds"])
    run.write_cell(stamp(cell, context, status, reason).as_dict(), {})
    return Outcome(cell.key, status, reason, 0.0)

"""What a user names to look at: a run, or what a table kept of one."""

from __future__ import annotations

from bench.catalogue.index import metric_facts
from results.runs import Run
from results.tabled import open_any


def opened(name: str) -> Run:
    """A run by its folder or a suite's name, a table (.csv, .parquet), or a baseline. Raises
    UsageError where there is none.
    """
    return open_any(name, metric_facts)

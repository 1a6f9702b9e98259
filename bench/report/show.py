"""The tables of runs, or of what is left of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.core.arguments import checked
from bench.core.errors import UsageError
from bench.report.opened import opened
from results.shown import Shown


def open_shown(
    runs: Sequence[str],
    along: Sequence[str] = (),
    metrics: Sequence[str] = (),
    models: Sequence[str] = (),
    sort: str = "",
    cost: bool = False,
) -> Shown:
    """What is named, to be shown: runs, tables, baselines. Raises UsageError for none."""
    if cost and along:
        raise UsageError("`cost` is a column of tables of rows: leave `along` out")
    if not runs:
        raise UsageError("no run: expected a run's folder, or a suite's name")
    return Shown([opened(run) for run in runs], along, metrics, models, sort, cost)


@checked()
def show(
    run: str,
    *more: str,
    along: str | Sequence[str] = (),
    metric: str | Sequence[str] = (),
    model: str | Sequence[str] = (),
    sort: str = "",
    cost: bool = False,
) -> pd.DataFrame:
    """The summary of a run, a table or a baseline, or of several joined: means, intervals, counts,
    published rows.

    along: one or two settings, whose values are columns then; metric, model: those to keep, all
    unless told, models by patterns of their names; sort: the metric whose best row comes first;
    cost: whether each model has a row `cpu_seconds`, where it was trained in these runs.
    """
    named = [(one,) if isinstance(one, str) else tuple(one) for one in (along, metric, model)]
    return open_shown([run, *more], named[0], named[1], named[2], sort, cost).rows()

"""Some rows of a summary, in another order: models by their names, the best of a metric first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

import numpy as np
import pandas as pd

from bench.core.errors import unknown
from results.frames import column, pick


def of_models(summary: pd.DataFrame, patterns: Sequence[str]) -> pd.DataFrame:
    """The rows whose label, or a part of it between slashes, fits a pattern (as of files); all
    where there is none. Raises UsageError for one that fits nothing.
    """
    if not patterns:
        return summary
    labels = list(dict.fromkeys(summary["model"]))
    found_by = {pattern: [name for name in labels if fits(name, pattern)] for pattern in patterns}
    for pattern, found in found_by.items():
        if not found:
            raise unknown("model", pattern, {part for name in labels for part in _parts(name)})
    kept = {name for found in found_by.values() for name in found}
    return pick(summary, np.array([name in kept for name in summary["model"]]))


def fits(label: str, pattern: str) -> bool:
    """Whether a row's label, or a part of it between slashes, fits a pattern (as of files)."""
    return any(fnmatchcase(part, pattern) for part in _parts(label))


def _parts(label: str) -> tuple[str, ...]:
    return (label, *label.split(" / "))


def sorted_by(summary: pd.DataFrame, metric: str, facts: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of each table with the best of a metric first, over radii by their mean; rows that
    lack it come last, in their order. facts: of metrics by name. Raises UsageError for a metric
    that is in no table.
    """
    if not metric:
        return summary
    here = pick(summary, column(summary, "metric") == metric)
    if here.empty:
        raise unknown("metric", metric, dict.fromkeys(summary["metric"]))
    sign = 1.0 if facts.get(metric, {}).get("direction") == "lower" else -1.0
    keys = ["block", "dataset", "source", "model", "settings"]
    means: Any = here.groupby(keys, sort=False)["value"].mean()
    values = {key: sign * value for key, value in means.items()}
    tables = {name: at for at, name in enumerate(dict.fromkeys(_pairs(summary)))}
    places = {name: at for at, name in enumerate(dict.fromkeys(_rows(summary, keys)))}

    def place(row: tuple[Any, ...]) -> tuple[int, float, int]:
        value = values.get(row, float("nan"))
        return tables[row[:2]], float("inf") if pd.isna(value) else value, places[row]

    order = sorted(
        range(len(summary)), key=[place(row) for row in _rows(summary, keys)].__getitem__
    )
    return cast(pd.DataFrame, summary.iloc[order]).reset_index(drop=True)


def in_order(summary: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The same rows, those of a line of a table in the order of these metrics."""
    keys = ["block", "dataset", "source", "model", "settings"]
    lines = {line: at for at, line in enumerate(dict.fromkeys(_rows(summary, keys)))}
    places = [lines[line] for line in _rows(summary, keys)]
    columns = [[*metrics].index(metric) for metric in column(summary, "metric")]
    order = sorted(range(len(summary)), key=lambda at: (places[at], columns[at]))
    return cast(pd.DataFrame, summary.iloc[order]).reset_index(drop=True)


def _pairs(summary: pd.DataFrame) -> list[tuple[Any, ...]]:
    return _rows(summary, ["block", "dataset"])


def _rows(summary: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    return list(summary[columns].itertuples(index=False, name=None))

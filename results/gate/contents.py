"""What a baseline holds, series by series."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from results.frames import as_dicts, column, pick
from results.gate.baselines import path_of
from results.gate.columns import BRIEF, LOOK
from results.gate.layouts import apart, metric, shown, what
from results.gate.sides import from_table, read_table
from results.tables import Layout

COLUMNS = (
    *BRIEF,
    "primary",
    "role",
    "seeds",
    "mean",
    "low",
    "high",
    "std",
    "margin",
    *LOOK,
)
NOTE = (
    "mean: over the seeds, with the least and the largest. spread: their standard deviation. "
    "margin: by how much a series may get worse"
)


def contents(name: str) -> pd.DataFrame:
    """A row for each series of a baseline, under `COLUMNS`. Raises UsageError for none."""
    path = path_of(name)
    side, rows = from_table(str(path), read_table(path)), []
    for _, group in side.rows.groupby("id", sort=False):
        first, values = as_dicts(group)[0], column(group, "value")
        margin = max(first["absolute"], first["relative"] * abs(float(np.median(values))))
        rows.append(
            {
                **{name: first[name] for name in COLUMNS if name in first},
                "seeds": len(values),
                "mean": float(values.mean()),
                "low": float(values.min()),
                "high": float(values.max()),
                "std": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
                "margin": margin,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def layout(rows: pd.DataFrame) -> Layout:
    """The deciding series as a table; all of them where none was named."""
    deciding = pick(rows, column(rows, "primary").astype(bool) & (column(rows, "role") != "floor"))
    heads = ["what", "metric", "seeds", "mean", "spread", "margin"]
    lines, told = [], apart(as_dicts(deciding))
    for row in as_dicts(deciding):
        facts = {name: row[name] for name in LOOK}
        bounds = (
            ""
            if math.isnan(row["low"])
            else (f"{shown(row['low'], facts)} to {shown(row['high'], facts)}")
        )
        numbers = [(shown(row["mean"], facts), bounds), (shown(row["std"], facts), "")]
        cells = [(what(row, told), ""), (metric(row, facts), ""), (str(row["seeds"]), "")]
        lines.append([*cells, *numbers, (shown(row["margin"], facts), "")])
    title = f"{len(deciding)} deciding series of {len(rows)}"
    return Layout(title, heads, lines, ["model"] * len(lines), [NOTE], (0, 1))

"""Means with their intervals, a row a model, a panel a metric; ceilings and floors as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from results.frames import as_dicts, column, pick
from results.pictures.figures import new_panels
from results.tables import head, number

ROW_INCHES, HEAD_INCHES = 0.22, 0.75
PANEL_INCHES, LABEL_INCHES = 2.1, 1.5
ACROSS = 4
"""Panels in a row at most."""
LETTERS_AN_INCH = 15
WIDE = 28
"""Letters that the title of a panel has room for."""
LINES = {"ceiling": ("--", "#3a7d44"), "floor": (":", "#777777")}
COLOURS = {"model": "#1f5fa8", "baseline": "#7a5195", "published": "#c1272d"}
MARKS = {"published": "D"}


def draw_intervals(
    summary: pd.DataFrame, metrics: Sequence[str], facts: Mapping[str, Any], width: float = 0.0
) -> Any:
    """A figure of one table: dots are means, bars their 95 % intervals, diamonds published values
    with their printed spread; a dashed line is a ceiling's mean, a dotted one a floor's. summary:
    rows of one block and data set; facts: of metrics by name; width: of the whole in inches, 0 for
    as wide as it needs.
    """
    summary = summary.assign(model=[_label(row) for row in as_dicts(summary)])
    shown = pick(summary, [role not in LINES for role in column(summary, "role")])
    models = list(dict.fromkeys(column(shown, "model")))
    columns = min(ACROSS, len(metrics))
    each = (width or columns * PANEL_INCHES + LABEL_INCHES) / columns
    height = HEAD_INCHES + ROW_INCHES * max(2, len(models))
    figure, axes = new_panels(len(metrics), columns, height, each)
    for place, (axis, metric) in enumerate(zip(axes, metrics, strict=True)):
        told = facts.get(metric, {})
        _draw_metric(axis, pick(summary, column(summary, "metric") == metric), models)
        axis.set_title("\n".join(wrap(head(metric, told), WIDE)), fontsize=8)
        if told.get("percent"):
            axis.xaxis.set_major_formatter(lambda x, _, f=told: number(x, {**f, "digits": 0}))
        axis.tick_params(labelsize=6.5)
        axis.set_ylim(len(models) - 0.4, -0.6)
        axis.grid(axis="x", alpha=0.25, lw=0.5)
        labels = models if place % columns == 0 else []
        axis.set_yticks(range(len(models)), labels or [""] * len(models), fontsize=7)
    letters = int(LETTERS_AN_INCH * columns * each)
    figure.supxlabel("\n".join(wrap(_legend(summary), letters)), fontsize=7)
    return figure


def _label(row: Mapping[str, Any]) -> str:
    """A row's name; of a published one with the table that prints it."""
    if row["role"] != "published":
        return row["model"]
    return f"{row['model']} ({str(row['source']).partition(' ')[0]})"


def _legend(summary: pd.DataFrame) -> str:
    """What the lines are, and the marks."""
    words = {"ceiling": "dashed", "floor": "dotted"}
    roles = column(summary, "role")
    said = [
        f"{words[role]}: {', '.join(dict.fromkeys(column(pick(summary, roles == role), 'model')))}"
        for role in LINES
        if (roles == role).any()
    ]
    marks = (
        ["diamonds: published, with their printed spread"] if (roles == "published").any() else []
    )
    return "; ".join(["bars: 95 % intervals over seeds", *said, *marks])


def _draw_metric(axis: Any, rows: pd.DataFrame, models: Sequence[str]) -> None:
    for row in as_dicts(rows):
        value = row["value"]
        if row["role"] in LINES:
            style, colour = LINES[row["role"]]
            axis.axvline(value, color=colour, ls=style, lw=1)
            continue
        low, high = (value if pd.isna(row[side]) else row[side] for side in ("low", "high"))
        axis.errorbar(
            [value],
            [models.index(row["model"])],
            xerr=np.array([[max(0, value - low)], [max(0, high - value)]]),
            fmt=MARKS.get(row["role"], "o"),
            markersize=3.5,
            lw=1.2,
            color=COLOURS.get(row["role"], "black"),
        )

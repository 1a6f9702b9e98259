"""Figures of their own, outside pyplot's global state."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


def new_figure(rows: int, columns: int, height: float, width: float) -> tuple[Any, list[Any]]:
    """A figure of panels, each so many inches, row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def new_panels(count: int, columns: int, height: float, width: float) -> tuple[Any, list[Any]]:
    """A figure of so many panels; what is left of the last row is empty."""
    figure, axes = new_figure(-(-count // columns), columns, height, width)
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


FORMATS = (".png", ".pdf", ".svg")
UNDATED: dict[str, dict[str, Any]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
"""What is left out of a file, so that an equal figure is equal bytes."""


def as_png(figure: Any, dpi: int) -> bytes:
    """A figure as a PNG."""
    return as_file(figure, ".png", dpi)


def as_file(figure: Any, suffix: str, dpi: int) -> bytes:
    """A figure as a file of one of the formats, its text as text; what its fonts lack is no reason
    to warn.
    """
    from matplotlib import rc_context

    buffer = io.BytesIO()
    settled: Any = {"svg.hashsalt": "minimax", "svg.fonttype": "none", "pdf.fonttype": 42}
    with warnings.catch_warnings(), rc_context(settled):
        warnings.simplefilter("ignore")
        figure.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=UNDATED.get(suffix))
    return buffer.getvalue()


def draw_range(axis: Any, at: list[Any], rows: list[list[float]], **style: Any) -> Any:
    """The mean of each row as a line, from the least to the largest as a band; the line."""
    means = [float(np.mean(row)) for row in rows]
    low, high = [min(row) for row in rows], [max(row) for row in rows]
    return draw_band(axis, at, means, low, high, **style)


def draw_band(
    axis: Any,
    at: Sequence[Any],
    middle: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    **style: Any,
) -> Any:
    """A line, and a band around it; the line."""
    (line,) = axis.plot(at, middle, lw=1.2, **style)
    axis.fill_between(at, low, high, alpha=0.15, color=line.get_color(), lw=0)
    return line

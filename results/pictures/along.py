"""Pictures of a sweep: curves over the values of one setting, maps over those of two."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from results.along import MOST, Crossed, Line, crossed, is_number, value_name
from results.frames import among, column, pick
from results.pictures.figures import draw_band, new_figure, new_panels
from results.runs import Run
from results.summary import strength_of
from results.tables import head, number, value_text

DECADE = 10
"""Where the largest value is that many times the smallest, they are drawn by their ratios."""
WIDTH, HEIGHT = 3.6, 3.0
MAPS = 4
"""Maps beside one another."""
LETTERS = 34
"""That a map's title has room for in a line."""
DARK = 0.55
"""The share of a map's range from which words in it are black."""


def along_figures(run: Run) -> Iterator[tuple[str, Any]]:
    """Names and figures: for each data set whose grid varies one setting that is a number curves,
    for two settings maps, for more of them a map of two for each value of the others. The block is
    part of a name where two of them have pictures alike.
    """
    manifest, summary = run.manifest, run.summary()
    found: dict[str, list[tuple[str, Any]]] = {}
    for block in manifest["blocks"]:
        for dataset, names in _varied(manifest, block["name"]).items():
            here = among(column(summary, "dataset"), [dataset])
            part = pick(summary, here & among(column(summary, "block"), [block["name"]]))
            if not names or part.empty:
                continue
            ones = [*crossed(part, manifest, names[:MOST])]
            figure = _curves(ones, run) if len(names) == 1 else _maps(ones, run)
            if figure is not None:
                found.setdefault("-".join([*names, dataset]), []).append((block["name"], figure))
    for name, figures in found.items():
        for block, figure in figures:
            told = f"along-{name}" if len(figures) == 1 else f"along-{name}-{block}"
            yield re.sub(r"[^A-Za-z0-9._-]", "_", told), figure


def _varied(manifest: dict[str, Any], block: str) -> dict[str, list[str]]:
    """The settings that a block's grid varies, on each data set with more than one value."""
    found: dict[str, dict[str, dict[Any, None]]] = {}
    for cell in manifest["cells"]:
        if cell["block"] == block:
            values = found.setdefault(cell["parts"].get("dataset", ""), {})
            for name, value in cell.get("swept", {}).items():
                values.setdefault(name, {})[value] = None
    varied = {
        dataset: {name: len(known) for name, known in values.items() if len(known) > 1}
        for dataset, values in found.items()
    }
    return {dataset: _first(counts) for dataset, counts in varied.items()}


def _first(counts: dict[str, int]) -> list[str]:
    """Settings as the grid has them; of more than a map has sides those with the most values."""
    return sorted(counts, key=lambda name: -counts[name]) if len(counts) > MOST else [*counts]


def _told(one: Crossed, run: Run) -> tuple[str, dict[str, Any]]:
    """A metric's head, and its facts."""
    facts = run.manifest["metrics"].get(one.metric, {})
    return head(one.metric, facts), facts


def _steady(one: Crossed) -> list[Line]:
    """The lines at one radius; where there are several, the largest alone."""
    radii = {line.epsilon for line in one.lines if line.epsilon is not None}
    return [line for line in one.lines if line.epsilon in (None, max(radii, default=None))]


def _curves(ones: Sequence[Crossed], run: Run) -> Any:
    """A panel per metric: a line per model with the band of its interval; a level line for one
    that does not read the setting.
    """
    ones = [one for one in ones if all(is_number(value) for value in one.values[0])]
    if not ones:
        return None
    columns = min(3, len(ones))
    figure, axes = new_panels(len(ones), columns, HEIGHT, WIDTH)
    colours: dict[str, Any] = {}
    for axis, one in zip(axes, ones, strict=True):
        values = one.values[0]
        title, facts = _told(one, run)
        for line in _steady(one):
            style = _style(line.name, colours)
            colours.setdefault(line.name, None)
            level = bool(line.unread(one.names))
            rows = [line.at(value) for value in values]
            handle = _curve(axis, values, rows, level, style)
            colours[line.name] = colours[line.name] or handle
        if min(values) > 0 and max(values) >= DECADE * min(values):
            axis.set_xscale("log")
            axis.minorticks_off()
        axis.set_xticks(values, [value_name(value) for value in values])
        axis.set_title(title, fontsize=8)
        axis.set_xlabel(one.names[0], fontsize=7)
        axis.tick_params(labelsize=6)
        axis.grid(alpha=0.3, lw=0.5)
        if facts.get("percent"):
            axis.yaxis.set_major_formatter(lambda y, _, f=facts: number(y, {**f, "digits": 0}))
    handles = {name: handle for name, handle in colours.items() if handle is not None}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", fontsize=7, frameon=False,
        ncols=min(len(handles), 2 * columns),
    )  # fmt: skip
    _head(figure, _heading(ones[0], run, "broken lines: models that don't read it"))
    return figure


def _head(figure: Any, text: str) -> None:
    figure.suptitle(_wrapped(figure, text, 9), fontsize=9)


def _wrapped(figure: Any, text: str, points: float) -> str:
    """A text in lines that a figure has room for."""
    letters = int(figure.get_size_inches()[0] * 72 / points / 0.55)
    return "\n".join(line for part in text.split("\n") for line in wrap(part, letters))


def _heading(one: Crossed, run: Run, level: str = "") -> str:
    """What is varied on which data, and what bands and figures in brackets are."""
    seeds = len(run.manifest.get("seeds", []))
    over = (
        f"mean and 95 % interval over {seeds} seeds"
        if seeds > 1
        else "one seed, 95 % interval over its samples"
    )
    some = any(line.unread(one.names) for line in one.lines)
    said = "; ".join([over, *([level] if some and level else [])])
    at = {line.epsilon for line in _steady(one)} - {None}
    strength = strength_of(run.manifest, one.block)
    told = f" at {strength} {max(filter(None, at)):g}" if any(at) else ""
    return f"{one.dataset or one.block}{told}: along {' and '.join(one.names)}\n{said}"


def _style(name: str, colours: dict[str, Any]) -> dict[str, Any]:
    """The colour of a line: the same in every panel. And how it is broken, where it is: so that
    one shows through another.
    """
    place = list(colours).index(name) if name in colours else len(colours)
    marker, gap = ("o", "s", "^", "D")[place // 10 % 4], 2 + 2 * (place % 5)
    return {"color": f"C{place % 10}", "marker": marker, "ms": 3, "ls": (gap, (3, gap))}


def _curve(
    axis: Any, values: Sequence[float], rows: Sequence[Any], level: bool, style: dict[str, Any]
) -> Any:
    """One line where it has numbers; None where it has none."""
    kept = [(v, r) for v, r in zip(values, rows, strict=True) if r is not None]
    kept = [(v, r) for v, r in kept if not pd.isna(r["value"])]
    if not kept:
        return None
    look = {**style, "marker": ""} if level else {**style, "ls": "-"}
    at, found = [v for v, _ in kept], [r for _, r in kept]
    ends = [(r["value"] if pd.isna(r[end]) else r[end]) for end in ("low", "high") for r in found]
    half = len(found)
    return draw_band(axis, at, [r["value"] for r in found], ends[:half], ends[half:], **look)


def _maps(ones: Sequence[Crossed], run: Run) -> Any:
    """A map per model, a row of them per metric: the first setting down, the second across, each
    field with its mean and interval. What reads neither setting is named under the title.
    """
    rows = [(one, [line for line in _steady(one) if _read(line, one)]) for one in ones]
    rows = [(one, lines) for one, lines in rows if lines]
    if not rows:
        return None
    columns = min(MAPS, max(len(lines) for _, lines in rows))
    deep = sum(-(-len(lines) // columns) for _, lines in rows)
    down, across = (len(values) for values in rows[0][0].values)
    size = (max(1.6, 0.42 * down + 1.0), max(2.4, 0.8 * across + 1.0))
    figure, axes = new_figure(deep, columns, *size)
    free = iter(axes)
    for one, lines in rows:
        low, high = _range(one, lines)
        for line in lines:
            _map(next(free), one, line, run, low, high)
        for _ in range(-len(lines) % columns):
            next(free).set_axis_off()
    _head(figure, _heading(rows[0][0], run))
    if said := _rest(rows, run):
        figure.supxlabel(_wrapped(figure, said, 7), fontsize=7)
    return figure


def _read(line: Line, one: Crossed) -> bool:
    return len(line.unread(one.names)) < len(one.names)


def _rest(rows: Sequence[tuple[Crossed, list[Line]]], run: Run) -> str:
    """The models without a map, with their means."""
    found: dict[str, list[str]] = {}
    for one, _ in rows:
        _, facts = _told(one, run)
        for line in _steady(one):
            row = next(iter(line.rows.values()))
            if not _read(line, one) and not pd.isna(row["value"]):
                told = head(one.metric, {**facts, "direction": "none"})
                found.setdefault(line.name, []).append(f"{told} {number(row['value'], facts)}")
    said = "; ".join(f"{name}: {', '.join(texts)}" for name, texts in found.items())
    return f"the same everywhere: {said}" if said else ""


def _range(one: Crossed, lines: Sequence[Line]) -> tuple[float, float]:
    """The least and the largest value of a row of maps, which share their colours."""
    found = [row["value"] for line in lines for row in line.rows.values()]
    known = [value for value in found if not pd.isna(value)] or [0.0]
    return min(known), max(known)


def _map(axis: Any, one: Crossed, line: Line, run: Run, low: float, high: float) -> None:
    """One model's fields; a dash where there is no number."""
    title, facts = _told(one, run)
    down, across = one.values
    rows = [[line.at(value, other) for other in across] for value in down]
    heights = np.array([[np.nan if r is None else float(r["value"]) for r in row] for row in rows])
    span = {"vmin": low, "vmax": high if high > low else low + 1}
    axis.imshow(np.ma.masked_invalid(heights), cmap="viridis", aspect="auto", **span)
    for (i, j), height in np.ndenumerate(heights):
        share = (height - low) / (high - low) if high > low else 0.0
        colour = "black" if np.isnan(height) or share > DARK else "white"
        axis.text(j, i, _field(rows[i][j], facts), ha="center", va="center", fontsize=6, c=colour)
    axis.set_xticks(range(len(across)), [value_name(value) for value in across], fontsize=6)
    axis.set_yticks(range(len(down)), [value_name(value) for value in down], fontsize=6)
    axis.set(xlabel=one.names[1], ylabel=one.names[0])
    axis.xaxis.label.set_size(7)
    axis.yaxis.label.set_size(7)
    axis.set_title("\n".join([*wrap(line.name, LETTERS), title]), fontsize=8)


def _field(row: Any, facts: dict[str, Any]) -> str:
    """A mean, and its interval under it."""
    if row is None or pd.isna(row["value"]):
        return "–"
    if pd.isna(row["low"]):
        return number(row["value"], facts)
    mean, interval = value_text(row, facts)
    return f"{mean}\n({interval})"

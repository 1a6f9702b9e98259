"""A table as a page has it: its texts, the numbers to sort and draw by, and each seed's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from results.latex import latex
from results.summary import bounds
from results.tables import Layout, Look, as_csv, markdown, number, radius_text

Cell = list[Any]
"""Text, interval, mark, value, low, high; without what is missing at its end."""
PAIRS = (
    ("precision", "recall"),
    ("density", "coverage"),
    ("high_quality", "modes_covered"),
    ("frechet", "recall"),
    ("robust_accuracy", "certified_accuracy"),
)
"""What a scatter shows first, where a table has both: quality against coverage."""
PAD = 0.04
"""Of a column's span, left free on both sides where its metric has no range."""


def grid(
    layout: Layout,
    manifest: Mapping[str, Any],
    dataset: str,
    cells: Iterable[Mapping[str, Any]],
    records: Mapping[str, Mapping[str, Any]],
    taken: set[str],
    primary: Iterable[str] = (),
) -> dict[str, Any]:
    """A layout of a block and data set. cells: of its run; taken: names that other rows of the page
    have, to which those of its own are added. primary: the metrics that matter most.
    """
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        by_id.setdefault(cell["cell_id"], []).append(cell)
    rows = list(_rows(layout, manifest, by_id, records, taken))
    scales = [
        _scale(name, [row["cells"][at] for row in rows], manifest, dataset)
        for at, name in enumerate(layout.metrics)
    ]
    return {
        "title": layout.title,
        "heads": layout.heads,
        "words": list(layout.left),
        "numbers": [at for at, name in enumerate(layout.metrics) if name],
        "rows": rows,
        "scales": scales,
        "ticks": _ticks(rows, scales),
        "curve": any(len(row["cells"]) > 1 and _is_radius(layout) for row in rows),
        "axes": _axes(layout.metrics),
        "first": _first(layout.metrics, primary),
        "percent": [bool(_facts(manifest, name).get("percent")) for name in layout.metrics],
        "notes": layout.remarks,
        "copies": {"Markdown": markdown(layout), "LaTeX": latex(layout), "CSV": _csv(layout)},
    }


def _rows(
    layout: Layout,
    manifest: Mapping[str, Any],
    cells: Mapping[str, list[Mapping[str, Any]]],
    records: Mapping[str, Mapping[str, Any]],
    taken: set[str],
) -> Iterator[dict[str, Any]]:
    for at, (row, role) in enumerate(zip(layout.rows, layout.roles, strict=True)):
        shown = [_cell(text, spread, layout.look(at, to)) for to, (text, spread) in enumerate(row)]
        radius = _radius(layout, row)
        if radius is not None:
            shown[1] = [row[1][0], "", "", radius]
        of_row = cells.get(layout.ids[at], []) if layout.ids else []
        yield {
            "id": _named(
                [layout.title, row[0][0], *([row[1][0]] if radius is not None else [])], taken
            ),
            "role": role,
            "cells": shown,
            "seeds": [_seed(layout, manifest, cell, records, radius) for cell in of_row],
        }


def _cell(text: str, spread: str, look: Look) -> Cell:
    """A cell without the empty ones at its end."""
    known = [text, spread, look.mark, *(_plain(x) for x in (look.value, look.low, look.high))]
    while len(known) > 1 and known[-1] in ("", None):
        known.pop()
    return known


def _plain(value: float | None) -> float | None:
    """To nine digits: what is drawn and sorted by needs no more."""
    return None if value is None else float(f"{float(value):.9g}")


def _radius(layout: Layout, row: list[tuple[str, str]]) -> float | None:
    """What stands in the column of radii, where there is one."""
    if not _is_radius(layout):
        return None
    text = row[1][0]
    if not text:
        return None
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def _is_radius(layout: Layout) -> bool:
    """Whether its second column is one of radii: then the seeds are the third."""
    return not any(layout.metrics[:3]) and any(layout.metrics[3:])


def _seed(
    layout: Layout,
    manifest: Mapping[str, Any],
    cell: Mapping[str, Any],
    records: Mapping[str, Mapping[str, Any]],
    radius: float | None,
) -> list[Any]:
    """A seed, its status, why, its seconds, and its value in each column of numbers."""
    record = records.get(cell["key"])
    if record is None:
        return [cell["seed"], "left", "", None, []]
    found = {}
    for value in record["values"]:
        at = value.get("epsilon")
        here = at is None or (radius is not None and radius_text(at) == radius_text(radius))
        if value["final"] and here:
            found[value["metric"]] = number(value["value"], _facts(manifest, value["metric"]))
    values = [found.get(name, "") for name in layout.metrics if name]
    reason = str(record.get("reason") or "")
    return [cell["seed"], record["status"], reason, record.get("seconds"), values]


def _facts(manifest: Mapping[str, Any], metric: str) -> dict[str, Any]:
    known = manifest["metrics"].get(metric) or manifest.get("measured", {}).get(metric)
    return known or {}


def _scale(
    metric: str, cells: list[Cell], manifest: Mapping[str, Any], dataset: str
) -> list[float] | None:
    """From where to where a column's bars go: the metric's range, else that of its numbers."""
    seen = [x for cell in cells for x in cell[3:6] if isinstance(x, float)]
    if not metric or not seen:
        return None
    low, high = bounds(dict(manifest), metric, dataset)
    least, most = min(seen), max(seen)
    pad = PAD * (most - least)
    start = least - pad if low is None else min(float(low), least)
    end = most + pad if high is None else max(float(high), most)
    return [_short(start), _short(end)] if end > start else None


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _ticks(rows: list[dict[str, Any]], scales: list[list[float] | None]) -> list[str]:
    """Of each column, as style: where the first ceiling and the first floor with a value stand on
    its bars; the letters are those of the style sheet.
    """
    found = []
    for at, scale in enumerate(scales):
        said = []
        for letter, role in (("c", "ceiling"), ("f", "floor")):
            values = [r["cells"][at] for r in rows if r["role"] == role and len(r["cells"]) > at]
            value = next((cell[3] for cell in values if len(cell) > 3), None)
            if scale and value is not None:
                share = (value - scale[0]) / (scale[1] - scale[0])
                said.append(f"--{letter}:{share:.4f};--{letter}h:7px")
        found.append(";".join(said))
    return found


def _axes(metrics: Iterable[str]) -> list[int]:
    """The two columns that a scatter begins with; none where there are no two numbers."""
    bare = [name.partition("@")[0] for name in metrics]
    for pair in PAIRS:
        if all(name in bare for name in pair):
            return [bare.index(name) for name in pair]
    numbers = [at for at, name in enumerate(bare) if name]
    return numbers[:2] if len(numbers) > 1 else []


def _first(metrics: Iterable[str], primary: Iterable[str]) -> int:
    """The column that a chart over radii begins with: of a primary metric, else the first."""
    names = list(metrics)
    wanted = [names.index(name) for name in primary if name in names]
    return next(iter(wanted), next((at for at, name in enumerate(names) if name), 0))


def _csv(layout: Layout) -> str:
    """The texts of a table, intervals in columns of their own."""
    import pandas as pd

    heads = [text for head in layout.heads for text in (head, f"{head} interval")]
    rows = [[text for pair in row for text in pair] for row in layout.rows]
    table = pd.DataFrame(rows, columns=heads)
    intervals = range(1, len(heads), 2)
    empty = [heads[at] for at in intervals if not any(row[at] for row in rows)]
    return as_csv(table.drop(columns=empty))


def _named(parts: Iterable[str], taken: set[str]) -> str:
    """What an address can end in, no other row's."""
    begin = re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")[:80] or "row"
    name, count = begin, 1
    while name in taken:
        count += 1
        name = f"{begin}-{count}"
    taken.add(name)
    return name


def plain_grid(layout: Layout, taken: set[str]) -> dict[str, Any]:
    """A layout of words and texts: verdicts, claims."""
    manifest: dict[str, Any] = {"metrics": {}}
    bare = {**layout.__dict__, "metrics": tuple("" for _ in layout.heads), "ids": ()}
    return grid(Layout(**bare), manifest, "", [], {}, taken)


def as_script(data: Any) -> str:
    """JSON that no text in it can end the script around it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign, told in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, told)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


__all__ = ["as_script", "grid", "plain_grid"]

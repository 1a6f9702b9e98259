"""A comparison as tables for people, the worst first."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from results.frames import as_dicts
from results.gate.verdicts import SEVERITY, Comparison
from results.tables import Layout, head, number, radius_text

SHOWN = ("REGRESSED", "INCOMPARABLE", "INCONCLUSIVE", "IMPROVED")
UNDECIDING = ("REGRESSED", "INCOMPARABLE")
MOST = 200
HEADS = ["verdict", "what", "metric", "before", "after", "shift", "margin", "p", "why"]
WORDS = (0, 1, 2, 8)
WHAT = (
    "before, after: medians over seeds. shift: the median of all differences between a new and an "
    "old seed, with 90 % bounds. PASS: the data rule out a loss of the margin. p: Holm's over the "
    "deciding series"
)


def layouts(found: Comparison, most: int = MOST) -> Iterator[Layout]:
    """A table for each suite, and one for the cells that failed."""
    for suite in as_dicts(found.suites):
        inside = [row for row in as_dicts(found.rows) if row["suite"] == suite["suite"]]
        rows = [row for row in inside if row["level"] == "series"]
        yield _series(found, suite, rows, most)
        cells = [row for row in inside if row["level"] == "cell"]
        if cells:
            yield _cells(cells, most)


def _series(
    found: Comparison, suite: Mapping[str, Any], rows: list[dict[str, Any]], most: int
) -> Layout:
    shown, told = [row for row in rows if is_shown(row)], apart(rows)
    title = f"{suite['verdict']} · {suite['suite']} ({suite['tier']})"
    lines = [
        [(cell, spread) for cell, spread in _line(row, found.facts.get(row["metric"], {}), told)]
        for row in shown[:most]
    ]
    notes = [str(suite["reason"]), *_counts(rows)]
    if len(shown) > most:
        notes.append(f"{len(shown) - most:,} more lines are left out here: the JSON has them all")
    if lines:
        notes.append(WHAT)
    heads = HEADS if lines else []
    return Layout(title, heads, lines, [row["verdict"] for row in shown[:most]], notes, WORDS)


def is_shown(row: Mapping[str, Any]) -> bool:
    """Whether a series stands in the table: what decides nothing only where it is worse or gone."""
    return row["verdict"] in (SHOWN if row["primary"] else UNDECIDING)


def _counts(rows: list[dict[str, Any]]) -> Iterator[str]:
    """How many series had which verdict."""
    deciding = Counter(row["verdict"] for row in rows if row["primary"])
    said = ", ".join(f"{deciding[v]:,} {v}" for v in SEVERITY if deciding[v])
    same = sum(row["kind"] == "identical" for row in rows if row["primary"])
    if same:
        said += f" ({same:,} of them identical)"
    yield f"deciding series: {said or 'none'}"
    others = Counter(row["verdict"] for row in rows if not row["primary"])
    del others["NEW"]
    if others:
        said = ", ".join(f"{others[v]:,} {v}" for v in SEVERITY if others[v])
        yield f"other series, which decide only where they are missing: {said}"
    ignored = dict.fromkeys(row["reason"] for row in rows if row["verdict"] == "IGNORED")
    if ignored:
        yield f"ignored by the policy: {'; '.join(ignored)}"


def _line(
    row: Mapping[str, Any], facts: Mapping[str, Any], told: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    yield row["verdict"] + ("" if row["primary"] else " (not deciding)"), ""
    yield what(row, told), ""
    yield metric(row, facts), ""
    yield shown(row["before"], facts), row["finished_before"]
    yield shown(row["after"], facts), row["finished_after"]
    yield shown(row["shift"], facts, signed=True), _bounds(row, facts)
    yield shown(row["margin"], facts), ""
    p = row["p_adjusted"]
    yield ("–" if math.isnan(p) else "<.0001" if p < 1e-4 else f"{p:.2g}"), ""
    yield str(row["reason"]), ""


def apart(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The settings, by cell, that tell series of the same parts from one another."""
    cells: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        cell_id = row.get("cell_id", "")
        named, _, said = cell_id.partition("?")
        cells.setdefault(named, {})[cell_id] = re.split(r",(?=\w+=)", said)
    found = {}
    for known in cells.values():
        shared = set.intersection(*map(set, known.values()))
        for cell_id, said in known.items():
            own = [one for one in said if one and one not in shared]
            found[cell_id] = ", ".join(own) or ("as usual" if len(known) > 1 else "")
    return {cell_id: told for cell_id, told in found.items() if told}


def what(row: Mapping[str, Any], told: Mapping[str, str] | None = None) -> str:
    """The parts of a series, and the settings that tell it apart. told: those of cells."""
    said = (told or {}).get(row.get("cell_id", ""), "")
    return f"{_parts(row)} ({said})" if said else _parts(row)


def _parts(row: Mapping[str, Any]) -> str:
    parts = [row["model"] or row["dataset"], row["attack"]]
    if row["source_model"]:
        parts.insert(0, f"{row['source_model']} to")
    named = " / ".join(part for part in parts if part)
    return f"{named} · {row['dataset']}" if row["model"] else named


def metric(row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The metric's title, its radius where it has one, and which way is better."""
    radius = "" if math.isnan(row["epsilon"]) else f" at {radius_text(row['epsilon'])}"
    return head(row["metric"], {**facts, "direction": row["direction"]}, radius)


def shown(value: float, facts: Mapping[str, Any], signed: bool = False) -> str:
    """A number in its metric's digits, and as many more as it takes to see it."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "diverged"
    facts = dict(facts)
    scaled = abs(100 * value if facts.get("percent") else value)
    digits = int(facts.get("digits", 3))
    if 0 < scaled < 10**-digits:
        digits = min(9, math.ceil(-math.log10(scaled)))
    text = number(value, {**facts, "digits": digits})
    return f"+{text}" if signed and value > 0 else text


def _bounds(row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if not (math.isfinite(row["low"]) and math.isfinite(row["high"])):
        return ""
    sign = -1 if row["direction"] == "higher" else 1
    low, high = sorted((sign * row["low"], sign * row["high"]))
    return f"{shown(low, facts, True)} to {shown(high, facts, True)}"


def _cells(cells: list[dict[str, Any]], most: int) -> Layout:
    """The cells that failed, or were not measured."""
    rows = [
        [
            (cell["verdict"], ""),
            (cell["cell_id"], ""),
            (f"{cell['seed']:.0f}", ""),
            (cell["reason"], ""),
        ]
        for cell in cells[:most]
    ]
    notes = [f"{len(cells) - most:,} more cells"] if len(cells) > most else []
    roles = [cell["verdict"] for cell in cells[:most]]
    return Layout("cells", ["verdict", "cell", "seed", "why"], rows, roles, notes, (0, 1, 3))

"""Rows to summaries: a mean and an interval for every model and metric, published rows beside.

A summary is a tidy table of its own; what prints it is in tables.py.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from results.published import Published, load, not_comparable
from results.rows import RADIUS, STATUSES, unjudged
from results.separable import Entrant, standings
from results.statistics import interval, of_one

COLUMNS = (
    "block",
    "task",
    "dataset",
    "model",
    "role",
    "metric",
    "epsilon",
    "value",
    "low",
    "high",
    "interval",
    "n",
    "seeds",
    "statuses",
    "settings",
    "source",
    "note",
    "std",
    "best",
    "tied",
    "cell_id",
    "swept",
    "run",
)
ROLES = ("ceiling", "model", "baseline", "floor", "published")
TYPES = dict.fromkeys(("epsilon", "value", "low", "high", "std"), "float64")
TYPES |= dict.fromkeys(("best", "tied"), "boolean")
COMPETING = ("model", "baseline")
WORSE = {"higher": -1.0, "lower": 1.0}
"""The sign with which a larger value is worse."""


def summarise(manifest: dict[str, Any], records: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """One row for every block, data set, model and shown metric, in the order of the tables; of a
    curve over radii one for each `epsilon` (of those that the block names, if it names any).

    `value` is the mean over the seeds that are ok; `low` and `high` are its 95 % interval, `std`
    their standard deviation; `statuses` counts every planned cell, finished or not. Published rows
    have role "published" and say in `note` why they are not comparable, where they are not.

    Of runs that were joined, `run` says whose a row is that has its label in another run, too.

    `best` and `tied` say of models and baselines whether a value is told from all others of its
    column, or ties with the best of them (see `results.separable`); both are missing where nothing
    was compared. Rows compete that differ in nothing but the model and its settings, and that have
    the same radius, where there is one.
    """
    rows: list[dict[str, Any]] = []
    for planned in manifest["blocks"]:
        cells = [cell for cell in manifest["cells"] if cell["block"] == planned["name"]]
        block = {**planned, "metrics": planned["metrics"] or _measured(cells, records)}
        for dataset in dict.fromkeys(cell["parts"].get("dataset", "") for cell in cells):
            here = [cell for cell in cells if cell["parts"].get("dataset", "") == dataset]
            ours = _ours(manifest, block, dataset, here, records)
            rows += ours + _published(block, dataset, here, ours)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(TYPES)


def _measured(cells: list[dict[str, Any]], records: dict[str, dict[str, Any]]) -> list[str]:
    """Every metric that some cell has, for a block that names none."""
    values = (v for cell in cells for v in records.get(cell["key"], {"values": []})["values"])
    return list(dict.fromkeys(value["metric"] for value in values if value["final"]))


def _ours(
    manifest: dict[str, Any],
    block: dict[str, Any],
    dataset: str,
    cells: list[dict[str, Any]],
    records: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        groups.setdefault(cell["cell_id"], []).append(cell)
    facts = manifest.get("parts", {}).get("model", {})

    def place(cell_id: str) -> int:
        role = _role(facts, groups[cell_id][0])
        return ROLES.index(role) if role in ROLES else 1

    rows: list[dict[str, Any]] = []
    entrants: list[Entrant] = []
    for cell_id in sorted(groups, key=place):
        group = groups[cell_id]
        done = [records[cell["key"]] for cell in group if cell["key"] in records]
        shared = {
            "block": block["name"],
            "task": block["task"],
            "dataset": dataset,
            "model": label_of(group[0]),
            "role": _role(facts, group[0]),
            "statuses": _counts(done, len(group) - len(done)),
            "settings": json.dumps(group[0]["settings"], sort_keys=True),
            "source": "measured",
            "note": _note(group[0], done, facts),
            "cell_id": cell_id,
            "swept": json.dumps(group[0].get("swept", {})),
            "run": group[0].get("run", ""),
        }
        alone = bool(facts.get(group[0]["parts"].get("model", ""), {}).get("one_training"))
        for row, entrant in _lines(manifest, block, group[0], shared, done, alone):
            rows.append(row)
            entrants.append(entrant)
    for row, standing in zip(rows, standings(entrants), strict=True):
        row |= standing._asdict() if standing else {}
    return rows


def _lines(
    manifest: dict[str, Any],
    block: dict[str, Any],
    cell: dict[str, Any],
    shared: dict[str, Any],
    done: list[dict[str, Any]],
    alone: bool,
) -> Iterator[tuple[dict[str, Any], Entrant]]:
    """A model's row for each metric and radius, and how it stands for comparison; one that was
    trained once stands alone: its seeds are no trainings.
    """
    fine = [record for record in done if record["status"] == "ok"]
    diverged = sum(record["status"] == "diverged" for record in done)
    for metric in block["metrics"]:
        limits = bounds(manifest, metric, shared["dataset"])
        about = manifest["metrics"].get(metric, {})
        share = bool(about.get("percent") and about.get("shares", True))
        for epsilon in _epsilons(metric, fine, block.get("epsilons", [])):
            found = _found(metric, epsilon, fine)
            scores = _scores(found, diverged, about.get("direction", "none"))
            competes = scores and not alone
            family = _family(cell, shared["role"], metric, epsilon) if competes else None
            at = {"metric": metric, "epsilon": epsilon}
            yield {**shared, **at, **_estimate(found, limits, share)}, Entrant(family, scores)


def _family(cell: dict[str, Any], role: str, metric: str, epsilon: float | None) -> Hashable:
    """What rows that compete have in common; None for those that do not compete."""
    if role not in COMPETING:
        return None
    rest = tuple((axis, name) for axis, name in cell["parts"].items() if axis != "model")
    return metric, None if epsilon is None else f"{epsilon:.9g}", rest


def _scores(found: list[dict[str, Any]], diverged: int, direction: str) -> list[float]:
    """The seeds' values, larger is worse; none without a better direction, or without a value."""
    sign = WORSE.get(direction)
    if sign is None or not found:
        return []
    return [sign * value["value"] for value in found] + [math.inf] * diverged


def _note(cell: dict[str, Any], done: Iterable[dict[str, Any]], facts: Mapping[str, Any]) -> str:
    """Why a cell has no number, what fired, else what its model says of itself; and what the grid
    varies without any effect on it. facts: of models by name.
    """
    own = cell.get("note") or facts.get(cell["parts"].get("model", ""), {}).get("note", "")
    said = next((record["reason"] for record in done if record["reason"]), _fired(done)) or own
    unread = cell.get("unread", [])
    alone = f"{', '.join(unread)} not read: measured once" if unread else ""
    return "; ".join(filter(None, [said, alone]))


def _fired(records: Iterable[dict[str, Any]]) -> str:
    """The diagnostics that fired, for some seed."""
    names = [v["metric"] for r in records for v in r["values"] if v.get("label") == "fires"]
    return f"fires: {', '.join(dict.fromkeys(names))}" if names else ""


def _epsilons(
    metric: str, records: Iterable[dict[str, Any]], shown: Sequence[float]
) -> list[float | None]:
    """The radii at which a metric was measured and is shown; None alone where it has none."""
    found = {
        value.get("epsilon")
        for record in records
        for value in record["values"]
        if value["metric"] == metric and value["final"]
    }
    kept = [e for e in found - {None} if _is_shown(e, shown)]
    return sorted(kept) or [None]


def _is_shown(epsilon: float | None, shown: Sequence[float]) -> bool:
    return epsilon is None or not shown or any(math.isclose(epsilon, at) for at in shown)


def strength_of(manifest: Mapping[str, Any], block: str) -> str:
    """What the `epsilon` of a block's rows is: a radius, unless its task says something else."""
    told = {each["name"]: each.get("strength", RADIUS) for each in manifest["blocks"]}
    return told.get(block, RADIUS)


def strength_head(manifest: Mapping[str, Any], block: str) -> str:
    """The same as the head of a column."""
    strength = strength_of(manifest, block)
    return "ε" if strength == RADIUS else strength


def label_of(cell: dict[str, Any], but: Collection[str] = ("dataset",)) -> str:
    """The parts, and the settings that the grid varies, which tell a row from the others of its
    table. but: axes that are told elsewhere.
    """
    named = cell.get("named", {})
    rest = [named.get(axis, name) for axis, name in cell["parts"].items() if axis not in but]
    begin = f"{cell['run']}: " if cell.get("run") else ""
    told = " / ".join(rest) or cell["parts"].get("dataset", "")
    return begin + told + swept_text(cell.get("swept", {}), but)


def swept_text(swept: Mapping[str, Any], but: Collection[str] = ()) -> str:
    """How a label ends that tells the settings which a grid varies. but: those told elsewhere."""
    return "".join(f" / {name}={value}" for name, value in swept.items() if name not in but)


def _role(facts: dict[str, Any], cell: dict[str, Any]) -> str:
    return facts.get(cell["parts"].get("model", ""), {}).get("role", "model")


def _counts(done: Iterable[dict[str, Any]], left: int) -> str:
    counted = Counter(record["status"] for record in done)
    counted["left"] = left
    return ", ".join(f"{counted[s]} {s}" for s in (*STATUSES, "left") if counted[s])


def bounds(
    manifest: dict[str, Any], metric: str, dataset: str
) -> tuple[float | None, float | None]:
    """The range of a metric on a data set; a count of modes ends at their number."""
    facts = manifest["metrics"].get(metric, {})
    if facts.get("counts_modes"):
        known = manifest.get("parts", {}).get("dataset", {}).get(dataset, {})
        return facts.get("low"), known.get("modes")
    return facts.get("low"), facts.get("high")


def _found(
    metric: str, epsilon: float | None, records: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The final values of a metric at a radius, over seeds; those over no samples left out."""
    return [
        value
        for record in records
        for value in record["values"]
        if value["metric"] == metric and value["final"] and value.get("epsilon") == epsilon
        if value["n"] != 0
    ]


def _estimate(
    found: list[dict[str, Any]], limits: tuple[float | None, float | None], share: bool
) -> dict[str, Any]:
    if not found:
        return {"interval": "none", "seeds": 0}
    alone, std_error, n = len(found) == 1, found[0]["std_error"], found[0]["n"]
    values = [value["value"] for value in found]
    at = (
        of_one(values[0], std_error, n, share, *limits)
        if alone
        else interval(values, None, *limits)
    )
    return {
        "value": at.mean,
        "low": at.low,
        "high": at.high,
        "interval": at.kind,
        "n": n,
        "seeds": at.n,
        "std": None if alone else float(np.std(values, ddof=1)),
    }


def _published(
    block: dict[str, Any],
    dataset: str,
    cells: list[dict[str, Any]],
    ours: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    settings = {label_of(cell): cell["settings"] for cell in cells}
    seeds: dict[str, int] = {}
    for row in ours:
        seeds[row["model"]] = max(row["seeds"], seeds.get(row["model"], 0))
    rows = []
    for name in block["published"]:
        wanted = [
            (row, metric)
            for row in load(name)
            for metric in block["metrics"]
            if row.stands_beside(dataset)
            and row.metric in (metric, unjudged(metric))
            and _is_shown(row.epsilon, block.get("epsilons", []))
        ]
        for row, metric in wanted:
            reason = not_comparable(
                row, settings.get(row.counterpart), seeds.get(row.counterpart, 0)
            )
            if row.dataset != dataset:
                reason = ", ".join([f"measured on {row.dataset}", *filter(None, [reason])])
            rows.append(_published_row(block, dataset, row, metric, reason))
    return rows


def _published_row(
    block: dict[str, Any], dataset: str, row: Published, metric: str, reason: str
) -> dict[str, Any]:
    spread = row.spread
    return {
        "block": block["name"],
        "task": block["task"],
        "dataset": dataset,
        "model": row.model,
        "role": "published",
        "metric": metric,
        "epsilon": row.epsilon,
        "value": row.value,
        "low": None if spread is None else row.value - spread,
        "high": None if spread is None else row.value + spread,
        "interval": row.spread_kind,
        "n": row.n,
        "seeds": row.runs or 0,
        "statuses": "published",
        "settings": json.dumps(row.requires, sort_keys=True),
        "source": f"{row.table} ({row.paper}, {row.source})",
        "note": f"not comparable: {reason}" if reason else "comparable",
        "cell_id": "",
        "swept": "{}",
        "run": "",
    }

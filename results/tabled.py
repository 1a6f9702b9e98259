"""A table of rows, a baseline say, as the run that it came of: what is left of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.core.files import user_path
from results.frames import as_dicts
from results.gate.baselines import DATE, REASON, find
from results.gate.columns import LOOK
from results.gate.sides import read_table
from results.rows import CELL_FIELDS, COLUMNS, TYPES, Record
from results.runs import Run, last_tier, open_run
from results.store import RunDirectory

Known = Callable[[str], Mapping[str, Any]]


def _nothing(metric: str) -> Mapping[str, Any]:
    """Where only the table itself is asked."""
    return {}


SUFFIXES = (".csv", ".parquet")
OTHERS = ", a table's file (.csv or .parquet), or a baseline's name"
TRUE = (True, "True", "true", 1)
"""What stands for it in a table."""
ASKED = (*COLUMNS, REASON, DATE)


def open_any(name: str, known: Known = _nothing) -> Run:
    """A run by its folder or a suite's name, or what is left of one in a table (.csv, .parquet) or
    in a baseline, by its file or name. A run comes before a baseline of the same name. known: what
    is known of a metric by name, its bounds say, that no table has.
    """
    path = user_path(name)
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        return run_of_table(path, known)
    baseline = find(name)
    if baseline is not None and not path.exists() and not last_tier(name):
        return run_of_table(baseline, known)
    return open_run(name, OTHERS)


def run_of_table(path: Path, known: Known = _nothing) -> Run:
    """What a table says of the run that wrote it: cells, values, roles and how metrics are shown
    where it is a baseline. A task is a block, as tables name none. There are no pictures.
    """
    table = read_table(path, ASKED)
    rows = as_dicts(table)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["key"] or f"{row['cell_id']} {row['seed']}", []).append(row)
    varied = _varied(group[0] for group in groups.values())
    first, metrics = rows[0], _metrics(rows, known)
    blocks = [
        {
            "name": task,
            "task": task,
            "metrics": [],
            "published": [],
            "primary": [n for n, facts in metrics.items() if facts["primary"] is True],
            "claims": [],
        }
        for task in dict.fromkeys(row["task"] for row in rows)
    ]
    about = {"commit": first.get("commit", ""), "table": path.name}
    about |= {name: first[name] for name in (DATE, REASON) if first.get(name)}
    manifest = {
        "suite": first["suite"],
        "title": f"{first['suite']}, tier {first['tier']}",
        "tier": first["tier"],
        "seeds": sorted({int(row["seed"]) for row in rows}),
        "device": first.get("device", ""),
        "blocks": blocks,
        "cells": [_cell(key, group[0], varied) for key, group in groups.items()],
        "metrics": metrics,
        "parts": {
            "dataset": {row["dataset"]: {} for row in rows},
            "model": {row["model"]: {"role": row.get("role") or "model"} for row in rows},
        },
        "environment": {**about, **_loaded(first.get("versions"))},
    }
    records = {key: _record(key, group) for key, group in groups.items()}
    return Run(RunDirectory(path.with_suffix("")), manifest, records)


def _loaded(text: Any) -> dict[str, Any]:
    """What a JSON object holds; nothing of what is none."""
    try:
        found = json.loads(text or "{}")
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _varied(cells: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], list[str]]:
    """By what else tells cells apart, the settings in which they differ."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in cells:
        found.setdefault(_place(row), []).append(_loaded(row.get("settings")))
    return {
        place: [
            name
            for name in dict.fromkeys(name for each in told for name in each)
            if len({json.dumps(each.get(name)) for each in told}) > 1
        ]
        for place, told in found.items()
    }


def _place(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        row.get(axis) or "" for axis in ("task", "dataset", "source_model", "model", "attack")
    )


def _cell(key: str, row: Mapping[str, Any], varied: Mapping[tuple[str, ...], list[str]]) -> Any:
    parts = {axis: row[axis] for axis in ("dataset", "model") if row.get(axis)}
    parts |= {axis: row[axis] for axis in ("source_model", "attack") if row.get(axis)}
    settings = _loaded(row.get("settings"))
    return {
        "block": row["task"],
        "task": row["task"],
        "parts": parts,
        "cell_id": row["cell_id"],
        "key": key,
        "settings": settings,
        "swept": {name: settings.get(name) for name in varied[_place(row)]},
        "seed": int(row["seed"]),
        "fingerprint": row.get("dataset_fingerprint") or "",
        "code": "",
        "skip": "",
    }


def _metrics(rows: Iterable[Mapping[str, Any]], known: Known) -> dict[str, dict[str, Any]]:
    """How each is shown."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["metric"]:
            look = {name: row[name] for name in LOOK if row.get(name) not in (None, "")}
            usual = {"title": row["metric"].partition("@")[0], **known(row["metric"])}
            primary = row.get("primary", False)
            facts = {**usual, "direction": row["direction"], **look, "primary": bool(primary)}
            found.setdefault(row["metric"], facts)
    titles = Counter(facts["title"] for facts in found.values())
    for name, facts in found.items():
        if titles[facts["title"]] > 1:
            facts["title"] = name
    return found


def _record(key: str, group: list[dict[str, Any]]) -> dict[str, Any]:
    """A finished cell as a file keeps it; what the table does not say is empty."""
    first = group[0]
    told = {name: first.get(name) or "" for name, kind in TYPES.items() if kind == "string"}
    told = {name: text for name, text in told.items() if name in CELL_FIELDS}
    record = Record(
        **{
            **told,
            "key": key,
            "seed": int(first["seed"]),
            "settings": _loaded(first.get("settings")),
            "versions": _loaded(first.get("versions")),
            "seconds": _number(first.get("seconds")) or 0.0,
            "peak_rss_mb": _number(first.get("peak_rss_mb")) or 0.0,
            "threads": int(_number(first.get("threads")) or 0),
            "dirty": first.get("dirty") in TRUE,
            "started_at": _moment(first.get("started_at")),
            "values": [_value(row) for row in group if row["metric"] and _finite(row["value"])],
        }
    )
    return record.as_dict()


def _moment(text: Any) -> datetime:
    """When a cell was begun; long ago where the table does not say."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _value(row: Mapping[str, Any]) -> dict[str, Any]:
    n, step = _number(row.get("n")), _number(row.get("step"))
    return {
        "metric": row["metric"],
        "version": int(_number(row.get("metric_version")) or 1),
        "direction": row["direction"],
        "value": float(row["value"]),
        "std_error": _number(row.get("std_error")),
        "n": None if n is None else int(n),
        "step": None if step is None else int(step),
        "final": row.get("final") in (*TRUE, None),
        "epsilon": _number(row.get("epsilon")),
        "norm": row.get("norm") or "",
        "label": row.get("label") or "",
        "outcomes": row.get("outcomes") or "",
        "examples": row.get("examples") or "",
    }


def _finite(value: Any) -> bool:
    return _number(value) is not None


def _number(value: Any) -> float | None:
    """A finite number; None of anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None

"""What one run measured, ready to be looked up by what claims name: data set, label and metric."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from results.rows import rows_of, unjudged

AXES = ("source_model", "model", "attack")
"""The parts that make a label, in its order."""

Place = tuple[str, str, str]
"""Data set, label, metric."""


@dataclass(frozen=True)
class Number:
    """One measured number of one seed. origin: the columns that say which run made it."""

    value: float
    std_error: float | None
    seed: int
    epsilon: float | None
    cell_id: str
    settings: dict[str, Any]
    origin: dict[str, str]


ORIGIN = ("suite", "tier", "commit", "code", "started_at")


@dataclass(frozen=True, eq=False)
class Evidence:
    """numbers: by place. lost: by data set and label, the seeds that are not ok, with their status.
    baseline: the name of the committed table that it is, or empty.
    """

    numbers: Mapping[Place, list[Number]]
    lost: Mapping[tuple[str, str], dict[int, str]]
    baseline: str = ""


def from_rows(rows: Iterable[Mapping[str, Any]], baseline: str = "") -> Evidence:
    """Of rows under the columns of every table."""
    numbers: dict[Place, list[Number]] = {}
    lost: dict[tuple[str, str], dict[int, str]] = {}
    for row in rows:
        about = str(row["dataset"]), " / ".join(str(row[axis]) for axis in AXES if row[axis])
        if row["status"] != "ok":
            lost.setdefault(about, {})[int(row["seed"])] = str(row["status"])
        elif row["final"] and row["metric"]:
            numbers.setdefault((*about, unjudged(str(row["metric"]))), []).append(_number(row))
    return Evidence(numbers, lost, baseline)


def from_records(records: Iterable[Mapping[str, Any]]) -> Evidence:
    """Of a run's finished cells."""
    return from_rows(
        {**row, "code": record["code"]} for record in records for row in rows_of(dict(record))
    )


def _number(row: Mapping[str, Any]) -> Number:
    return Number(
        float(row["value"]),
        _known(row["std_error"]),
        int(row["seed"]),
        _known(row["epsilon"]),
        str(row["cell_id"]),
        json.loads(row["settings"]),
        {name: str(row.get(name) or "") for name in ORIGIN},
    )


def _known(number: float | str | None) -> float | None:
    """A number, be it a table's text; None where there is none."""
    found = math.nan if number is None or number == "" else float(number)
    return None if math.isnan(found) else found

"""The row: one measured value, long format, and the closed list of statuses."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, get_origin, get_type_hints

SCHEMA_VERSION = 1

RADIUS = "radius"
"""What `epsilon` is, unless a task says otherwise."""

STATUSES = (
    "ok",
    "diverged",
    "failed",
    "timeout",
    "crashed",
    "oom",
    "skipped",
    "invalid",
)
FINAL = ("ok", "diverged", "skipped", "invalid")
"""Statuses that stand: the others are measured again."""

BAD = ("failed", "timeout", "crashed", "oom", "invalid")
"""Statuses that make the command fail. A diverged GAN is an outcome, not an error."""

TYPES = {
    "schema_version": "int64",
    "suite": "string",
    "tier": "string",
    "task": "string",
    "series": "string",
    "cell_id": "string",
    "key": "string",
    "artifact_key": "string",
    "dataset": "string",
    "dataset_fingerprint": "string",
    "model": "string",
    "source_model": "string",
    "attack": "string",
    "norm": "string",
    "epsilon": "float64",
    "step": "Int64",
    "final": "bool",
    "label": "string",
    "settings": "string",
    "seed": "int64",
    "metric": "string",
    "metric_version": "Int64",
    "direction": "string",
    "value": "float64",
    "std_error": "float64",
    "n": "Int64",
    "status": "string",
    "reason": "string",
    "seconds": "float64",
    "peak_rss_mb": "float64",
    "device": "string",
    "threads": "int64",
    "commit": "string",
    "dirty": "bool",
    "versions": "string",
    "started_at": "string",
    "outcomes": "string",
    "examples": "string",
}
COLUMNS = tuple(TYPES)

VARYING = ("seconds", "cpu_seconds", "peak_rss_mb", "commit", "dirty", "started_at")
"""What two runs of the same code and seed need not share."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished cell, as all that measure one make it: each names what it has. values: records of
    `VALUE_FIELDS`, or dataclasses that have them. cpu_seconds: of the process that trained and
    scored it; 0 where its model had been trained before, or nobody counted.
    """

    suite: str
    tier: str = ""
    task: str
    cell_id: str
    key: str
    artifact_key: str = ""
    code: str = ""
    dataset: str = ""
    dataset_fingerprint: str = ""
    model: str = ""
    source_model: str = ""
    attack: str = ""
    settings: dict[str, Any]
    seed: int = 0
    status: str = "ok"
    reason: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_mb: float = 0.0
    device: str
    threads: int
    commit: str
    dirty: bool
    versions: dict[str, str]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    warnings: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Under `CELL_FIELDS`, as a file keeps it."""
        return {
            **asdict(self),
            "seconds": round(self.seconds, 4),
            "cpu_seconds": round(self.cpu_seconds, 4),
            "started_at": self.started_at.isoformat(timespec="milliseconds"),
        }


KEPT_AS: dict[Any, type | tuple[type, ...]] = {float: (int, float), datetime: str}
LATER = ("cpu_seconds",)
"""Fields that records of earlier versions lack."""
CELL_FIELDS = {
    name: KEPT_AS.get(kind) or get_origin(kind) or kind
    for name, kind in get_type_hints(Record).items()
    if name not in LATER
}

VALUE_FIELDS: dict[str, type | tuple[type, ...]] = {
    "metric": str,
    "version": int,
    "direction": str,
    "value": (int, float),
    "std_error": (int, float, type(None)),
    "n": (int, type(None)),
    "step": (int, type(None)),
    "final": bool,
    "epsilon": (int, float, type(None)),
    "norm": str,
    "label": str,
    "outcomes": str,
    "examples": str,
}


def check_record(record: Any, key: str) -> dict[str, Any]:
    """A cell's record, if it is one. Raises ValueError that says what is wrong."""
    _check_fields(record, CELL_FIELDS, "cell")
    _check_fields(record, {name: (int, float) for name in LATER if name in record}, "cell")
    if record["key"] != key:
        raise ValueError(f"it holds the key {record['key'][:16]!r}, not its own")
    if record["status"] not in STATUSES:
        raise ValueError(f"unknown status {record['status'][:16]!r}")
    for value in record["values"]:
        _check_fields(value, VALUE_FIELDS, "value")
        if not _finite(value["value"]):
            raise ValueError(f"{value['metric'][:40]!r} is not finite")
    return record


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


LARGEST = 2**63
"""What the whole numbers of a table can't hold."""


def _check_fields(table: Any, fields: dict[str, Any], what: str) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"expected a table for the {what}")
    for name, kind in fields.items():
        if name not in table:
            raise ValueError(f"the {what} has no '{name}'")
        value = table[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"'{name}' of the {what} has the wrong type")
        if isinstance(value, str):
            value.encode()  # halves of characters, which no table can hold, are a ValueError
        if isinstance(value, int) and abs(value) >= LARGEST:
            raise ValueError(f"'{name}' of the {what} is too large")


def rows_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """A cell's rows: one a value, and one without a metric where the cell is not ok."""
    shared = {
        "schema_version": SCHEMA_VERSION,
        **{name: record[name] for name in CELL_FIELDS if name in COLUMNS},
        "settings": json.dumps(record["settings"], sort_keys=True),
        "versions": json.dumps(record["versions"], sort_keys=True),
    }
    rows = [_row(shared, value) for value in record["values"]]
    if record["status"] != "ok":
        rows.append(_row(shared, None))
    return rows


def _row(shared: dict[str, Any], value: dict[str, Any] | None) -> dict[str, Any]:
    series = f"{shared['suite']}/{shared['cell_id']}"
    if value is None:
        own = {"series": series, "metric": "", "direction": "none", "final": True, "norm": ""}
        own |= {"label": "", "outcomes": "", "examples": ""}
    else:
        own = {**value, "metric_version": value["version"]}
        own["series"] = f"{series}/{value['metric']}@{value['version']}"
    merged = {**shared, **own}
    return {column: merged.get(column) for column in COLUMNS}


def unjudged(metric: str) -> str:
    """A metric's name without the judge and its hash, as in `@digits-cnn:1a2b`."""
    return metric.partition("@")[0] if ":" in metric else metric

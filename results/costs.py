"""A column for what the cells of a table cost: CPU seconds, beside whatever else is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.core.errors import UsageError

COST = "cpu_seconds"
"""A field of records, and the metric that stands for it."""
FACTS = {
    "title": "CPU s",
    "direction": "none",
    "digits": 1,
    "low": 0.0,
    "estimator": "of the process, training and scores",
}
UNSAID = {
    "version": 1,
    "std_error": None,
    "n": None,
    "step": None,
    "epsilon": None,
    "norm": "",
    "label": "",
    "outcomes": "",
    "examples": "",
}


def costed(
    manifest: Mapping[str, Any], records: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A manifest and records with that of each cell as its last metric: of its training and its
    scores. A cell whose model had been trained before has none. Raises UsageError where none has.
    """
    if not any(record.get(COST) for record in records.values()):
        raise UsageError(
            "`cost`: no cell here counted CPU seconds: their models had been trained before, or "
            "an earlier version measured them"
        )
    value = {**UNSAID, "metric": COST, "direction": FACTS["direction"], "final": True}
    known = {
        key: {**record, "values": [*record["values"], {**value, "value": seconds}]}
        if (seconds := record.get(COST))
        else record
        for key, record in records.items()
    }
    blocks = [
        {**block, "metrics": [*block["metrics"], COST] if block["metrics"] else []}
        for block in manifest["blocks"]
    ]
    metrics = {**manifest["metrics"], COST: FACTS}
    return {**manifest, "metrics": metrics, "blocks": blocks}, known

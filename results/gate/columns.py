"""The columns that a gate reads and writes: those of a series, and what it knows of a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from results.rows import TYPES

PARTS = ("dataset", "model", "source_model", "attack")
AXES = ("task", *PARTS)
"""What a run may be narrowed by."""

SERIES = (
    "suite",
    "tier",
    "task",
    "series",
    "cell_id",
    *PARTS,
    "norm",
    "epsilon",
    "metric",
    "metric_version",
    "direction",
)
"""What tells a series from others, and which way is better."""

BRIEF = ("series", *PARTS, "epsilon", "metric", "direction")
"""What of a series stands in a list of them."""

LOOK = ("title", "percent", "digits")
"""How the values of a metric are shown."""

FACTS: dict[str, Any] = {
    "kind": "seeded",
    "absolute": 0.0,
    "relative": 0.0,
    "worst": math.nan,
    "conditional": False,
    "title": "",
    "percent": False,
    "digits": 3,
}
"""What a gate and its tables need to know of a metric, and what holds where nobody says. worst: the
worst value it can take, not a number where there is none, or in a baseline older than this column.
"""

ASKED = tuple(name for name in FACTS if name != "worst")
"""Of these, the ones without which a table can't be judged."""

GIVEN: dict[str, Any] = {
    "primary": False,
    "role": "model",
    "probed": False,
    "shipped": False,
    **FACTS,
}
"""What a baseline says of a series, and a run's table does not. shipped: its model came with its
weights, so that it is itself what is judged, and no draw of a training.
"""


def facts_from(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a gate needs of a metric's facts as its task or a manifest has them."""
    found = {name: about[name] for name in ASKED if name in about}
    bound = about.get("low" if about.get("direction") == "higher" else "high")
    directed = about.get("direction") in ("higher", "lower")
    return found | ({"worst": float(bound)} if directed and bound is not None else {})


ROWS = "baseline_rows"

UNREAD = ("step", "label", "settings", "std_error", "seconds", "peak_rss_mb", "threads")
READ = tuple(name for name in TYPES if name not in (*UNREAD, "versions", "started_at"))
"""The columns of a row that a gate needs."""

NUMBERS = {
    *(name for name in READ if TYPES[name] not in ("string", "bool")),
    *(name for name, usual in GIVEN.items() if type(usual) in (int, float)),
    ROWS,
}
FLAGS = {
    *(name for name in READ if TYPES[name] == "bool"),
    *(name for name, usual in GIVEN.items() if type(usual) is bool),
}

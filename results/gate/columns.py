"""The columns that a gate reads and writes: those of a series, and what it knows of a metric."""

from __future__ import annotations

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
    "conditional": False,
    "title": "",
    "percent": False,
    "digits": 3,
}
"""What a gate and its tables need to know of a metric, and what holds where nobody says."""

GIVEN: dict[str, Any] = {"primary": False, "role": "model", "probed": False, **FACTS}
"""What a baseline says of a series, and a run's table does not."""

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

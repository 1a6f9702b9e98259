"""What cells took in runs that became baselines: seconds and memory, by name and device.

They are kept in `costs.json` beside the baselines and say how long a run will take. A cell whose
model had been trained before says nothing of that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.core.files import write_atomically

NAME = "costs.json"
SHIPPED = Path(__file__).parent / "baselines"
HERE = Path("results") / "baselines"


@dataclass(frozen=True)
class Timing:
    """Of a cell: the median over `cells` seeds of its seconds, and the most memory in megabytes."""

    seconds: float
    peak_rss_mb: float
    cells: int


def timings_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Timing]:
    """By `id on device`, of records or of rows of tables; a cell may have many rows."""
    found: dict[str, dict[object, tuple[float, float]]] = {}
    for row in rows:
        trained = row.get("cpu_seconds", 1.0) > 0
        if row["status"] in ("ok", "diverged") and row["seconds"] > 0 and trained:
            seeds = found.setdefault(name_of(row["cell_id"], row["device"]), {})
            seeds[row["seed"]] = float(row["seconds"]), float(row["peak_rss_mb"])
    return {
        name: Timing(
            round(median(seconds for seconds, _ in seeds.values()), 3),
            max(peak for _, peak in seeds.values()),
            len(seeds),
        )
        for name, seeds in found.items()
    }


def name_of(cell_id: str, device: str) -> str:
    """What a cell is kept under."""
    return f"{cell_id} on {device}"


def keep(folder: Path, new: Mapping[str, Timing]) -> Path:
    """Put timings into a folder's file; those of other cells stay."""
    known = {**_read(folder / NAME), **new}
    lines = (f" {json.dumps(name)}: {json.dumps(asdict(known[name]))}" for name in sorted(known))
    write_atomically(folder / NAME, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    return folder / NAME


def known() -> dict[str, Timing]:
    """Those that ship with us, and those of the project, which count more."""
    return {**_read(SHIPPED / NAME), **_read(HERE / NAME)}


def _read(path: Path) -> dict[str, Timing]:
    """A damaged file is none: a forecast is all that is lost."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return {name: Timing(**told) for name, told in json.loads(path.read_bytes()).items()}
    return {}

"""Numbers from papers: a CSV a table, with source, protocol, number of runs and kind of spread.

Columns: paper (a key of the bibliography), source (where in it), dataset, model (its name
there), counterpart (the name of ours, empty where there is none), metric (the name of ours),
value, spread, spread_kind ("unstated" where the source does not say what its plus-minus is), runs
(trainings; empty where the source does not say), n (samples scored; likewise), requires (JSON:
settings a run needs to be comparable), note (why it can't be, or what to know); where they are
needed, epsilon (the radius of an attack) and beside (data sets of ours that it is printed with,
though measured on another). A metric or data set that is not offered here has the name that the
literature gives it.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import unknown

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Published:
    """One published number."""

    table: str
    paper: str
    source: str
    dataset: str
    model: str
    counterpart: str
    metric: str
    value: float
    spread: float | None
    spread_kind: str
    runs: int | None
    n: int | None
    requires: dict[str, Any]
    note: str
    epsilon: float | None = None
    beside: str = ""

    def stands_beside(self, dataset: str) -> bool:
        """Whether it is printed with our rows on a data set."""
        return dataset in (self.dataset, *self.beside.split())


def names(folder: Path = FOLDER) -> list[str]:
    """The tables there are."""
    return sorted(path.stem for path in folder.glob("*.csv"))


def read_rows(
    name: str, kind: str = "published table", folder: Path = FOLDER
) -> list[dict[str, str]]:
    """A table's rows as text. Raises UsageError for an unknown one."""
    if name not in names(folder):
        raise unknown(kind, name, names(folder))
    with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rows() -> list[dict[str, Any]]:
    """Every published number there is, a row each."""
    return [vars(row) for name in names() for row in load(name)]


def load(name: str) -> list[Published]:
    """A table's numbers. Raises UsageError for an unknown one."""
    return [_published(name, row) for row in read_rows(name)]


def _published(table: str, row: dict[str, str]) -> Published:
    numbers = {
        "value": float(row["value"]),
        "spread": float(row["spread"]) if row["spread"] else None,
        "runs": int(row["runs"]) if row["runs"] else None,
        "n": int(row["n"]) if row["n"] else None,
        "requires": json.loads(row["requires"] or "{}"),
        "epsilon": float(row["epsilon"]) if row.get("epsilon") else None,
    }
    return Published(**{"table": table, **row, **numbers})  # type: ignore[arg-type]


def not_comparable(row: Published, settings: dict[str, Any] | None, seeds: int) -> str:
    """Why our number can't be held against a published one; empty where it can.

    settings: those of our cells for its counterpart, None where nothing of ours corresponds.
    """
    if not row.requires:
        return row.note or "the paper gives no settings"
    if not row.counterpart:
        return "no counterpart here"
    if settings is None:
        return "its counterpart was not run"
    differing = [
        f"{name} {_short(settings.get(name))} not {_short(wanted)}"
        for name, wanted in row.requires.items()
        if name != "seeds" and settings.get(name) != wanted
    ]
    if seeds < row.requires.get("seeds", 0):
        differing.append(f"seeds {seeds} not {row.requires['seeds']}")
    return ", ".join(differing)


def _short(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

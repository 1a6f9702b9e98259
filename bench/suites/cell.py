"""A cell: one measurement, with everything that decides its number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEPT = ("key", "cell_id", "block", "task", "parts", "settings", "seed", "fingerprint", "code")
"""What a manifest says of a cell, and what says all of it."""


@dataclass(frozen=True)
class Cell:
    """One piece of work with all its names.

    cell_id says what is measured, without suite and seed; random streams derive from it. key
    identifies the measurement: same key, measured already. code is the digest of the source
    that makes the number. definition: the table of a data set that the suite file defines.
    swept: the settings that the grid varies; unread: those that it varies for others, and that
    decide nothing here. skip: why it can't be measured here, or empty. brought: digests of what the
    user brought. named: what tables call its parts, where that is shorter than their names. note:
    what a reader of its row should know.
    """

    block: str
    task: str
    parts: dict[str, str]
    settings: dict[str, Any]
    seed: int
    cell_id: str
    key: str
    fingerprint: str
    code: str
    device: str = "cpu"
    definition: dict[str, Any] | None = None
    seconds: float = 0.0
    skip: str = ""
    swept: dict[str, Any] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    brought: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)
    note: str = ""

    def part(self, axis: str) -> str:
        """The name of a part, empty where the cell has no such axis."""
        return self.parts.get(axis, "")


def cell_of(manifest: Mapping[str, Any], row: Mapping[str, Any]) -> Cell:
    """A cell from its row in a manifest."""
    return Cell(
        **{name: row[name] for name in KEPT},
        device=manifest["device"],
        definition=manifest.get("mixtures", {}).get(row["parts"].get("dataset", "")),
        skip=row["skip"],
        swept=row.get("swept", {}),
        unread=tuple(row.get("unread", ())),
        brought=tuple(row.get("brought", ())),
        named=row.get("named", {}),
        note=row.get("note", ""),
    )


def cell_table(cell: Cell) -> dict[str, Any]:
    """A cell's row in a manifest."""
    some = {
        "swept": cell.swept,
        "unread": list(cell.unread),
        "brought": list(cell.brought),
        "named": cell.named,
        "note": cell.note,
    }
    told = {name: value for name, value in some.items() if value}
    return {**{name: getattr(cell, name) for name in KEPT}, **told, "skip": cell.skip}


def id_of(task: str, parts: Mapping[str, str], differing: Mapping[str, Any]) -> str:
    """The cell_id of what a task does with these parts and settings that differ from the usual."""
    named = ",".join(f"{key}={value}" for key, value in sorted(differing.items()))
    return "/".join([task, *parts.values()]) + (f"?{named}" if named else "")

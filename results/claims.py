"""What a paper says of its numbers, as inequalities, each a row of a file.

A claim is that one number is larger than another, or than a constant. A file of claims has the
columns id, paper, source (where in it), claim, suite (of ours, that measures it), dataset, then for
the larger and the smaller number the label of its row (or the constant), its metric, its epsilon,
where (JSON: settings that tell its row from others of that label), and the published value; table
(the published tables that hold those values; empty where the text does), not_comparable (why no row
of ours can speak to it, empty where some can), overturned_by (what would overturn a verdict against
it), and measure (the command that measures it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from results import published

FOLDER = published.FOLDER / "claims"


@dataclass(frozen=True)
class Operand:
    """One number of a claim: a row's label, metric and epsilon, or a constant. where: settings that
    the row has.
    """

    label: str
    metric: str
    epsilon: float | None
    published: float | None
    where: dict[str, Any] = field(default_factory=dict)

    @property
    def constant(self) -> float | None:
        return None if self.metric else float(self.label)


@dataclass(frozen=True)
class Claim:
    """That one number is larger than another."""

    file: str
    id: str
    paper: str
    source: str
    text: str
    suite: str
    dataset: str
    larger: Operand
    smaller: Operand
    tables: tuple[str, ...]
    not_comparable: str
    overturned_by: str
    measure: str

    @property
    def printed(self) -> str:
        """The published inequality, as far as it is in numbers."""
        values = [
            side.published if side.constant is None else side.constant
            for side in (self.larger, self.smaller)
        ]
        return " > ".join(f"{value:g}" for value in values if value is not None)


def names() -> list[str]:
    """The files of claims there are."""
    return published.names(FOLDER)


def load(name: str) -> list[Claim]:
    """A file's claims. Raises UsageError for an unknown one."""
    return [_claim(name, row) for row in published.read_rows(name, "claims", FOLDER)]


def every() -> list[Claim]:
    """The claims of all files."""
    return [claim for name in names() for claim in load(name)]


def _claim(file: str, row: Mapping[str, str]) -> Claim:
    return Claim(
        file,
        row["id"],
        row["paper"],
        row["source"],
        row["claim"],
        row["suite"],
        row["dataset"],
        _operand(row, "larger"),
        _operand(row, "smaller"),
        tuple(row["table"].split()),
        row["not_comparable"],
        row["overturned_by"],
        row["measure"],
    )


def _operand(row: Mapping[str, str], side: str) -> Operand:
    epsilon, value = row[f"{side}_epsilon"], row[f"{side}_published"]
    return Operand(
        row[side],
        row[f"{side}_metric"],
        float(epsilon) if epsilon else None,
        float(value) if value else None,
        json.loads(row[f"{side}_where"] or "{}"),
    )

"""What a paper says of its numbers, as inequalities, held against ours.

A claim is that one number is larger than another, or than a constant. Its verdict is "ok" where the
95 % interval of our difference lies above 0, "contradicted" where it lies below, "not resolvable"
where it holds 0, and "not measured" where a number is missing. A file of claims has the columns id,
paper, source, claim, dataset, then for the larger and the smaller number the label of its row (or
the constant), its metric, its epsilon, and the published value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from results import published
from results.statistics import interval
from results.summary import label_of

FOLDER = published.FOLDER / "claims"
COLUMNS = ("id", "claim", "larger", "smaller", "low", "high", "published", "verdict", "source")


@dataclass(frozen=True)
class Operand:
    """One number of a claim: a row's label, metric and epsilon, or a constant."""

    label: str
    metric: str
    epsilon: float | None
    published: float | None

    @property
    def constant(self) -> float | None:
        return None if self.metric else float(self.label)


@dataclass(frozen=True)
class Claim:
    """That one number is larger than another."""

    id: str
    paper: str
    source: str
    text: str
    dataset: str
    larger: Operand
    smaller: Operand


def names() -> list[str]:
    """The files of claims there are."""
    return published.names(FOLDER)


def load(name: str) -> list[Claim]:
    """A file's claims. Raises UsageError for an unknown one."""
    return [_claim(row) for row in published.read_rows(name, "claims", FOLDER)]


def _claim(row: Mapping[str, str]) -> Claim:
    head = (row["id"], row["paper"], row["source"], row["claim"], row["dataset"])
    return Claim(*head, _operand(row, "larger"), _operand(row, "smaller"))


def _operand(row: Mapping[str, str], side: str) -> Operand:
    epsilon, published = row[f"{side}_epsilon"], row[f"{side}_published"]
    return Operand(
        row[side],
        row[f"{side}_metric"],
        float(epsilon) if epsilon else None,
        float(published) if published else None,
    )


Found = dict[int, tuple[float, float | None]]
"""By seed: a value and its standard error over examples."""


def judge(manifest: dict[str, Any], records: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """A row for every claim that a run's blocks ask about, with its verdict."""
    asked = {name for block in manifest["blocks"] for name in block.get("claims", [])}
    rows = [
        {**_verdict(claim, _found(claim, manifest, records)), "source": name}
        for name in sorted(asked)
        for claim in load(name)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _found(
    claim: Claim, manifest: dict[str, Any], records: dict[str, dict[str, Any]]
) -> tuple[Found, Found]:
    cells = [c for c in manifest["cells"] if c["parts"].get("dataset") == claim.dataset]
    return _values(claim.larger, cells, records), _values(claim.smaller, cells, records)


def _values(
    operand: Operand, cells: Iterable[dict[str, Any]], records: dict[str, dict[str, Any]]
) -> Found:
    found: Found = {}
    for cell in cells:
        record = records.get(cell["key"])
        if label_of(cell) != operand.label or record is None or record["status"] != "ok":
            continue
        for value in record["values"]:
            if value["metric"] == operand.metric and _same(value["epsilon"], operand.epsilon):
                found[cell["seed"]] = (value["value"], value["std_error"])
    return found


def _same(found: float | None, wanted: float | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted)


def _verdict(claim: Claim, found: tuple[Found, Found]) -> dict[str, Any]:
    larger, smaller = found
    sides = (claim.larger, claim.smaller)
    printed = " > ".join(
        f"{side.constant:g}" if side.constant is not None else f"{side.published:g}"
        for side in sides
        if side.constant is not None or side.published is not None
    )
    row: dict[str, Any] = {"id": claim.id, "claim": claim.text, "published": printed}
    if claim.smaller.constant is not None:
        smaller = dict.fromkeys(larger, (claim.smaller.constant, 0.0))
    seeds = sorted(larger.keys() & smaller.keys())
    if not seeds:
        return {**row, "verdict": "not measured"}
    low, high = _difference([larger[s] for s in seeds], [smaller[s] for s in seeds])
    means = [math.fsum(side[s][0] for s in seeds) / len(seeds) for side in (larger, smaller)]
    row |= {"larger": means[0], "smaller": means[1], "low": low, "high": high}
    return {**row, "verdict": "ok" if low > 0 else "contradicted" if high < 0 else "not resolvable"}


def _difference(
    larger: Sequence[tuple[float, float | None]], smaller: Sequence[tuple[float, float | None]]
) -> tuple[float, float]:
    """The interval of the difference: Student's t over seeds, paired; of one seed, over examples,
    taking the two as independent (cautious where they are the same images).
    """
    differences = [a - b for (a, _), (b, _) in zip(larger, smaller, strict=True)]
    errors = [error for side in (larger, smaller) for _, error in side]
    alone = len(differences) == 1 and None not in errors
    error = math.hypot(*(e for e in errors if e is not None)) if alone else None
    at = interval(differences, error)
    if at.low is None or at.high is None:
        return -math.inf, math.inf
    return at.low, at.high

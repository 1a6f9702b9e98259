"""What stands under a table: what its intervals are, over how many seeds, and what marks mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from results.frames import among, column, pick
from results.summary import COMPETING

MARKED = (
    "bold: the best mean of its column, told from every other (exact one-sided Mann-Whitney test "
    "over seeds, Holm's correction, 5 %); †: where there is none, the best mean and all that are "
    "not told from it. Only models and baselines are compared{rows}; no mark: equal values, one "
    "row alone, or too few seeds"
)
UNMARKED = (
    "no mean is in bold: too few seeds to tell rows apart, equal values, or no two rows that "
    "differ in the model alone"
)

SPLIT = (
    "{titles}: every seed is scored on the same held-out examples, so that an interval over seeds "
    "is one over trainings: on other held-out examples all of them move together"
)


def spread(part: pd.DataFrame) -> str:
    """What the intervals of a table's measured rows are over; empty where there are none."""
    measured = pick(part, column(part, "source") == "measured")
    said = []
    for kind in ("seeds", "samples"):
        rows = pick(measured, column(measured, "interval") == kind)
        if len(rows) and kind == "seeds":
            counts = column(rows, "seeds").astype(int)
            few, many = counts.min(), counts.max()
            said.append(f"Student's t over {few if few == many else f'{few} to {many}'} seeds")
        elif len(rows):
            said.append("over the samples of the one seed (Wilson's of a share, else normal)")
    return "; ".join(said)


def legend(part: pd.DataFrame, directed: set[str]) -> Iterator[str]:
    """The further notes of a table. directed: its metrics with a better direction."""
    measured = pick(part, column(part, "source") == "measured")
    if len(measured) and (column(measured, "interval") == "none").all():
        yield "no intervals: one seed, without a standard error"
    compared = pick(part, ~pd.isna(column(part, "best")))
    if len(compared):
        yield MARKED.format(rows=_conditions(compared))
    elif _could_compete(part, directed):
        yield UNMARKED
    printed = pick(part, column(part, "role") == "published")
    if len(printed) and not np.isnan(column(printed, "low")).all():
        yield "published: ± as printed there (SE: standard error, SD: standard deviation)"


def split_shared(
    part: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], described: Mapping[str, Any]
) -> Iterator[str]:
    """What intervals of bounds on likelihoods leave out, where the held-out examples are a fixed
    set and no draws of each seed's. facts: of the metrics; described: of the data set.
    """
    if not described.get("images"):
        return
    seeded = set(part["metric"][among(column(part, "interval"), ["seeds"])])
    bounds = [name for name in facts if name in seeded and facts[name].get("takes") == "latent"]
    if bounds:
        yield SPLIT.format(titles=", ".join(facts[name].get("title") or name for name in bounds))


def _conditions(compared: pd.DataFrame) -> str:
    """With which others a row is compared, and how diverged seeds count."""
    said = ""
    if not np.isnan(column(compared, "epsilon")).all():
        said += ", at the same radius"
    if any(" / " in name for name in compared["model"]):
        said += ", where all but the model is the same"
    if any("diverged" in statuses for statuses in compared["statuses"]):
        said += ", a diverged seed as worse than any value"
    return said


def _could_compete(part: pd.DataFrame, directed: set[str]) -> bool:
    """Whether some column has two rows or more that are no ceiling, floor or published."""
    ours = among(column(part, "role"), COMPETING) & among(column(part, "metric"), directed)
    rows = pick(part, ours & ~np.isnan(column(part, "value")))
    return bool(rows.duplicated(["metric", "epsilon"]).any())

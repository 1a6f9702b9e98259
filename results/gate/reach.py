"""How far a series can fall: a gate that allows as much can't turn red."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from results.frames import as_dicts, column, pick
from results.gate.columns import LOOK
from results.gate.layouts import apart, metric, shown, what
from results.gate.policy import Policy

NAMED = 3
"""How many series a warning names."""


def room(usual: float, worst: float, direction: str) -> float:
    """How much worse than usual a value can get; infinite where nobody knows a worst value."""
    if math.isnan(worst):
        return math.inf
    return max(0.0, (usual - worst if direction == "higher" else worst - usual))


def judged(rows: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """The rows of the series that decide."""
    known = {
        row["id"]: policy.is_primary(row["metric"], row["primary"])
        and row["role"] != "floor"
        and row["direction"] != "none"
        and not policy.ignored(row)
        for row in as_dicts(rows.drop_duplicates("id"))
    }
    return pick(rows, [known[one] for one in column(rows, "id")])


def stuck(rows: pd.DataFrame, policy: Policy) -> str:
    """Which of the series that decide can't get worse by more than their margin, and what to do;
    empty where all can.
    """
    if not np.isfinite(column(rows, "worst")).any():
        return ""
    deciding = judged(rows, policy)
    texts = list(_stuck(deciding, policy))
    if not texts:
        return ""
    count, every = len(texts), len(set(column(deciding, "id")))
    more = f" and {count - NAMED} more" if count > NAMED else ""
    said = (
        "no deciding series can" if count == every else f"{count} of {every} deciding series can't"
    )
    return (
        f"{said} get worse by more than the margin, so that no regression shows there: "
        f"{'; '.join(texts[:NAMED])}{more}; train longer, give a smaller [[margin]] in a policy, "
        "or name other primary metrics"
    )


def _stuck(deciding: pd.DataFrame, policy: Policy) -> Iterator[str]:
    usual = deciding.groupby("id")["value"].median().to_dict()
    bounded = pick(deciding, np.isfinite(column(deciding, "worst"))).drop_duplicates("id")
    told = apart(as_dicts(deciding))
    for facts in as_dicts(bounded):
        at = usual[facts["id"]]
        allowed = policy.margin_at(facts, at)
        if room(at, facts["worst"], facts["direction"]) > allowed:
            continue
        look = {name: facts[name] for name in LOOK}
        numbers = (shown(value, look) for value in (at, facts["worst"], allowed))
        said = "median {}, worst possible {}, margin {}".format(*numbers)
        yield f"{what(facts, told)} {metric(facts, look)} ({said})"

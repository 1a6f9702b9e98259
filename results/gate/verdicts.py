"""What a comparison says: a verdict for every series and suite, and an exit code."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd

from results.frames import column, pick
from results.gate.columns import SERIES
from results.gate.policy import Policy

Verdict = Literal[
    "REGRESSED", "FAILED", "INCOMPARABLE", "INCONCLUSIVE", "IMPROVED", "NEW", "IGNORED", "PASS"
]

SEVERITY: tuple[Verdict, ...] = get_args(Verdict)

NUMBERS = (
    "before",
    "after",
    "shift",
    "margin",
    "loss",
    "low",
    "high",
    "p",
    "p_adjusted",
    "seeds_before",
    "seeds_after",
)
COLUMNS = (
    "level",
    "verdict",
    *SERIES,
    "primary",
    "kind",
    *NUMBERS,
    "finished_before",
    "finished_after",
    "seeds_needed",
    "seed",
    "reason",
)

EMPTY: dict[str, Any] = {
    **dict.fromkeys(COLUMNS, ""),
    **dict.fromkeys(("epsilon", "metric_version", *NUMBERS, "seeds_needed", "seed"), math.nan),
    "primary": False,
}

REGRESSION, FAILURE, UNSETTLED = 3, 4, 5


@dataclass(frozen=True, eq=False)
class Comparison:
    """rows: a row for each suite, series and failed cell, the worst first, under `COLUMNS`."""

    base: str
    new: str
    policy: Policy
    rows: pd.DataFrame
    facts: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...] = ()

    @property
    def suites(self) -> pd.DataFrame:
        return pick(self.rows, column(self.rows, "level") == "suite")

    @property
    def counts(self) -> dict[str, int]:
        """Primary series by verdict."""
        series = pick(
            self.rows,
            (column(self.rows, "level") == "series") & column(self.rows, "primary").astype(bool),
        )
        found = Counter(series["verdict"])
        return {verdict: found[verdict] for verdict in SEVERITY if found[verdict]}

    @property
    def counted(self) -> str:
        """The same in words."""
        counts = ", ".join(f"{count:,} {verdict}" for verdict, count in self.counts.items())
        return counts or "no deciding series"

    @property
    def verdict(self) -> str:
        """The worst of all suites."""
        return min(self.suites["verdict"], key=SEVERITY.index)

    @property
    def exit_code(self) -> int:
        """3 a regression, 4 cells failed, 5 inconclusive or not comparable, 0."""
        found = set(self.suites["verdict"])
        levels = set(self.rows["verdict"][self.rows["level"] != "suite"])
        if "REGRESSED" in found:
            return REGRESSION
        if "FAILED" in levels:
            return FAILURE
        if "INCOMPARABLE" in levels | found:
            return UNSETTLED
        unsettled = "INCONCLUSIVE" in found and self.policy.on_inconclusive == "fail"
        return UNSETTLED if unsettled else 0

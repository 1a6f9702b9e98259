"""What is worked out once for all series of a suite, before any test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from results.frames import column
from results.gate.coverage import Matched
from results.gate.policy import Policy
from results.gate.verdicts import COLUMNS, EMPTY
from results.statistics import wilson


@dataclass(frozen=True)
class Seed:
    """One value of a series, and where it comes from."""

    value: float
    n: float
    artifact: str
    key: str
    commit: str
    dirty: bool
    examples: str
    outcomes: str
    probed: bool
    shipped: bool

    def same_input(self, other: Seed) -> bool:
        """Whether both come from the same trained model and the same examples."""
        return (self.artifact, self.examples) == (other.artifact, other.examples)

    def paired_with(self, other: Seed) -> bool:
        """Whether the outcomes are pairs: the same examples under the same trained model, or under
        two that came with their weights.
        """
        if not self.examples or self.examples != other.examples:
            return False
        shipped = self.shipped and other.shipped
        return shipped or (bool(self.artifact) and self.artifact == other.artifact)

    def same_code(self, other: Seed) -> bool:
        """Whether nothing at all tells the two measurements apart."""
        clean = self.commit and not self.dirty and not other.dirty
        return bool(clean) and (self.key, self.commit) == (other.key, other.commit)


class Rows:
    """The rows of one side, found by series."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._places = rows.groupby("id", sort=False).indices
        names = ("value", "n", "artifact_key", "key", "commit", "dirty", "examples", "outcomes")
        self._columns: list[Any] = [
            column(rows, name).tolist() for name in (*names, "probed", "shipped")
        ]
        self._seeds = column(rows, "seed").tolist()

    def seeds(self, one: str) -> dict[int, Seed]:
        """The values of a series by seed."""
        return {
            self._seeds[i]: Seed(*(values[i] for values in self._columns))
            for i in self._places.get(one, ())
        }


class State:
    """What is worked out once for all series of a suite, in the order of its columns."""

    def __init__(
        self, suite: str, found: Matched, policy: Policy, about: dict[Any, dict[str, Any]]
    ) -> None:
        self.suite, self.found, self.policy = suite, found, policy
        self.about = list(about.values())
        self.primary = [
            policy.is_primary(facts["metric"], facts["primary"]) and facts["role"] != "floor"
            for facts in self.about
        ]
        self.ignored = [policy.ignored(facts) for facts in self.about]
        self.common = np.intersect1d(found.old.seeds, found.now.seeds)
        self.before = np.searchsorted(found.old.seeds, self.common)
        self.after = np.searchsorted(found.now.seeds, self.common)
        same = found.old.value[self.before] == found.now.value[self.after]
        inside = len(self.common) == len(found.now.seeds) > 0
        self.identical = same.all(0) & inside
        self.rows = Rows(found.before), Rows(found.after)
        self.ids = list(about)
        self.tiers = list(dict.fromkeys(facts["tier"] for facts in self.about))
        self.sign = found.sign

    def pairs(self, place: int) -> list[tuple[Seed, Seed]]:
        """The values of the seeds in common, before and after."""
        if not len(self.common):
            return []
        old, new = (rows.seeds(self.ids[place]) for rows in self.rows)
        return [(old[seed], new[seed]) for seed in old if seed in new]

    def every_pair(self, place: int) -> list[tuple[Seed, Seed]]:
        """The same where every new seed has a partner; none where one is new, or diverged."""
        pairs = self.pairs(place)
        return pairs if len(pairs) == len(self.found.now.seeds) else []

    def same_model(self, place: int) -> bool:
        """Whether the seeds in common have the same trained models."""
        pairs = self.pairs(place)
        return bool(pairs) and all(a.artifact and a.artifact == b.artifact for a, b in pairs)

    def losses(self, places: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of some series, larger worse, before and after."""
        sign = self.sign[places]
        return self.found.old.value[:, places] * sign, self.found.now.value[:, places] * sign

    def margin(self, place: int) -> float:
        return self.policy.margin_at(self.about[place], middle(self.found.old.value[:, place]))

    def identical_row(self, place: int) -> dict[str, Any]:
        """The row of a series whose values are the same to the last bit, seed for seed."""
        row = self.row(place)
        text = f"identical on the seeds {_seeds_text(self.found.now.seeds)}"
        same = {"verdict": "PASS", "kind": "identical", "before": row["after"], "reason": text}
        return {**row, **same, "shift": 0.0, "loss": 0.0}

    def row(self, place: int) -> dict[str, Any]:
        old, now = self.found.old, self.found.now
        before, after = middle(old.value[:, place]), middle(now.value[:, place])
        return {
            **named(self.about[place]),
            "primary": self.primary[place],
            "before": before if math.isfinite(before) else math.nan,
            "after": after if math.isfinite(after) else math.nan,
            "margin": self.margin(place),
            "seeds_before": len(old.seeds),
            "seeds_after": len(now.seeds),
            "finished_before": _finished(old.diverged[:, place]),
            "finished_after": _finished(now.diverged[:, place]),
        }


def _seeds_text(seeds: np.ndarray) -> str:
    """Seeds in a few words."""
    shown = ", ".join(str(seed) for seed in seeds[:5])
    return f"{shown}, … ({len(seeds)})" if len(seeds) > 5 else shown


def named(facts: Mapping[str, Any] | pd.Series) -> dict[str, Any]:
    """The row of a series, without numbers."""
    kept = {name: facts[name] for name in COLUMNS if name in facts}
    return {**EMPTY, **kept, "level": "series", "primary": bool(facts["primary"])}


def middle(values: np.ndarray) -> float:
    """The median over the seeds that are there."""
    there = values[~np.isnan(values)]
    if not len(there):
        return math.nan
    ordered = np.sort(there)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(high if low == high else (low + high) / 2)


def _finished(diverged: np.ndarray) -> str:
    """How many seeds did not diverge, with Wilson's interval, where any did."""
    n = len(diverged)
    if not diverged.any():
        return ""
    share = wilson(1 - diverged.mean(), n)
    return (
        f"{n - diverged.sum()}/{n} ({100 * (share.low or 0):.0f}–{100 * (share.high or 0):.0f} %)"
    )

"""Series whose values differ from seed to seed, each alone and all as one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from results.gate.joint import joint_tails
from results.gate.state import State
from results.gate.verdicts import Verdict
from results.ranks import holm, shift, smallest_p, tails

POWER = 0.8

MOST_SEEDS = 1_000

TINY = 1e-300

FAR = 1e3

RANK_LOSS = math.pi / 3

BEYOND = "worse beyond chance and beyond the margin"
SAME = (
    "the trained models are the same: attack, data or metric changed; if that is meant, raise the "
    "metric's version or set the baseline again"
)


@dataclass(frozen=True)
class Tested:
    """A series that was tested: the loss with its bounds, and p-values (worse, better) as they are
    and adjusted. both: whether a change for the better is a fault too, the trained models being
    the same.
    """

    loss: float
    low: float
    high: float
    margin: float
    p: tuple[float, float]
    adjusted: tuple[float, float]
    alpha: float
    both: bool = False

    @property
    def verdict(self) -> Verdict:
        if self.adjusted[0] <= self.alpha and self.loss > self.margin:
            return "REGRESSED"
        if self.adjusted[1] <= self.alpha and -self.loss > self.margin:
            return "REGRESSED" if self.both else "IMPROVED"
        worst = max(self.high, -self.low) if self.both else self.high
        return "PASS" if worst <= self.margin else "INCONCLUSIVE"

    def row(self, sign: float) -> dict[str, Any]:
        better = self.loss < 0
        return {
            "verdict": self.verdict,
            "shift": sign * self.loss,
            "loss": self.loss,
            "low": self.low,
            "high": self.high,
            "margin": self.margin,
            "p": self.p[better],
            "p_adjusted": self.adjusted[better],
        }


def families(state: State, places: list[int], level: float) -> Iterator[tuple[set[int], float]]:
    """The primary series under the gate's level; the others, which decide nothing, under their
    own.
    """
    for primary, alpha in ((True, level), (False, state.policy.alpha)):
        family = {place for place in places if state.primary[place] == primary}
        if family:
            yield family, alpha


def seeded_rows(
    state: State, found: list[tuple[int, str]], level: float, limit: int
) -> Iterator[dict[str, Any]]:
    """The rows of seeded series, by exact rank tests and Holm over those that decide. found: their
    places and what is to be said of them.
    """
    said = dict(found)
    for family, alpha in families(state, [*said], level):
        places = sorted(family)
        old, now = state.losses(places)
        worse, better = tails(old, now, limit)
        moved, spreads = shift(old, now, state.policy.alpha), _spreads(old, now)
        same = np.array([state.same_model(place) for place in places])
        two_sided = np.minimum(1, 2 * np.minimum(worse, better))
        worse, better = (np.where(same, two_sided, p) for p in (worse, better))
        adjusted = holm(worse), holm(better)
        share = state.policy.alpha * (1 - state.policy.suite_share) / len(places)
        for i, place in enumerate(places):
            tested = Tested(
                float(moved.estimate[i]),
                float(moved.low[i]),
                float(moved.high[i]),
                state.margin(place),
                (float(worse[i]), float(better[i])),
                (float(adjusted[0][i]), float(adjusted[1][i])),
                alpha,
                bool(same[i]),
            )
            row = {**state.row(place), **tested.row(state.sign[place]), "kind": "seeded"}
            row["reason"] = said[place]
            if tested.verdict == "INCONCLUSIVE":
                row |= _unsettled(tested, float(spreads[i]), share, said[place])
            elif tested.verdict == "REGRESSED" and row["finished_after"]:
                row["reason"] = f"seeds that finished: {row['finished_after']}"
            elif tested.verdict == "REGRESSED":
                row["reason"] = SAME if same[i] else BEYOND
            yield row


def _unsettled(tested: Tested, spread: float, alpha: float, said: str) -> dict[str, Any]:
    """The seeds that would settle it, if the change is what it seems."""
    seeds = seeds_needed(tested.loss, tested.margin, spread, alpha)
    if math.isnan(spread):
        text = "the spread over seeds is not known: more seeds on both sides"
    elif seeds is None:
        text = f"more than {MOST_SEEDS:,} seeds would be needed: widen the margin"
    else:
        text = f"about {seeds} seeds on each side would settle it"
    return {"seeds_needed": seeds or math.nan, "reason": "; ".join(filter(None, [said, text]))}


def _spreads(old: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The standard deviation over seeds of each series, of both sides; diverged seeds left out.
    Not a number where no side has two that finished.
    """
    squares = freedom = np.zeros(old.shape[1])
    for side in (old, now):
        there = np.isfinite(side)
        count = there.sum(0)
        values = np.where(there, side, 0.0)
        mean = values.sum(0) / np.maximum(count, 1)
        squares = squares + np.where(there, (values - mean) ** 2, 0.0).sum(0)
        freedom = freedom + np.maximum(count - 1, 0)
    return np.sqrt(squares / np.where(freedom > 0, freedom, np.nan))


def seeds_needed(loss: float, margin: float, spread: float, alpha: float) -> int | None:
    """Seeds on each side with which a loss of this size is told from the margin in 80 % of the
    cases; where it is larger, from none at all, with its estimate beyond the margin. None: more
    than 1,000, or unknown.
    """
    gap = loss if loss > margin else margin - loss
    if not (math.isfinite(gap) and math.isfinite(spread)) or gap <= 0:
        return None
    reach = float(ndtri(POWER) - ndtri(alpha))
    wanted = 2 * RANK_LOSS * (reach * spread / gap) ** 2
    if loss > margin:
        beyond = float(ndtri(POWER)) * spread / (loss - margin)
        wanted = max(wanted, 2 * RANK_LOSS * beyond**2)
    if not wanted <= MOST_SEEDS:
        return None
    count = max(1, math.ceil(wanted))
    while smallest_p(count, count) > alpha:
        count += 1
    return count


@dataclass(frozen=True)
class Joint:
    """The suite as one: p-values, whether it lost or gained more than the margins, and what lost
    the most.
    """

    p_worse: float
    p_better: float
    beyond: bool
    gained: bool
    level: float
    tested: int
    least_p: float
    most: str = ""

    @property
    def regressed(self) -> bool:
        return self.p_worse <= self.level and self.beyond

    @property
    def improved(self) -> bool:
        return self.p_better <= self.level and self.gained


def joint_of(state: State, places: list[int], level: float, least_p: float, limit: int) -> Joint:
    """All deciding series as one: by whole seeds, and only where the losses, in spreads of each
    series and squared, add up to more than their margins do.
    """
    if not places:
        return Joint(1.0, 1.0, False, False, level, 0, least_p)
    old, now = state.losses(places)
    moved = shift(old, now, state.policy.alpha).estimate
    margins = np.array([state.margin(place) for place in places])
    worse, better = joint_tails(old, now, margins, limit)
    scale = np.fmax(np.nan_to_num(_spreads(old, now)), np.fmax(margins, TINY))
    with np.errstate(invalid="ignore", over="ignore"):
        moved = np.clip(np.nan_to_num(moved / scale), -FAR, FAR)
    allowed = ((margins / scale) ** 2).sum()
    beyond, gained = (
        bool((np.clip(side, 0, FAR) ** 2).sum() > allowed) for side in (moved, -moved)
    )
    most = state.about[places[int(moved.argmax())]]
    name = f"{most['model'] or most['dataset']} {most['title'] or most['metric']}"
    return Joint(worse, better, beyond, gained, level, len(places), least_p, name)

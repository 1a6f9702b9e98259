"""Several searches for the smallest perturbation, each held against the nearest that any found."""

from __future__ import annotations

import numpy as np

from metrics.contracts import METRICS, Score
from metrics.optimality import Distances, local_optimality, ratios
from metrics.robustness import AfterAttack, Clean


@METRICS.register(
    "distance_ratio",
    takes="attack",
    direction="lower",
    conditional=True,
    title="to the nearest",
    low=0,
    relative=0.02,
    digits=3,
    estimator="median over the images that were right before the attack and that this member "
    "misled of its distance over the smallest that any member found, 0 where there are none",
)
def distance_ratio(real: Clean, fake: AfterAttack) -> Score:
    """How far from the best known a search ends where it succeeds."""
    own, best = _distances(real, fake)
    misled = np.isfinite(own) & (own > 0)
    found = ratios(own[misled], best[misled]) if misled.any() else np.zeros(0)
    return Score(float(np.median(found)) if len(found) else 0.0, None, len(found))


@METRICS.register(
    "optimality",
    paper="arXiv:2404.19460",
    takes="attack",
    direction="higher",
    title="optimality",
    high=1,
    absolute=0.01,
    digits=3,
    estimator="1 minus the area of this member's curve of robust accuracy over the radius above "
    "that of the smallest distances that any member found, as a share of what an attack that finds "
    "nothing leaves; up to the largest of those distances",
)
def optimality(real: Clean, fake: AfterAttack) -> Score:
    """How much of what could be found a search finds, failures included (AttackBench's local
    optimality, the members in the place of every attack known).
    """
    own, best = _distances(real, fake)
    return Score(local_optimality(own, best), None, len(own))


def _distances(real: Clean, fake: AfterAttack) -> tuple[Distances, Distances]:
    """The member's and the smallest, 0 for images that were wrong as they stood."""
    apart = np.zeros((len(real.labels), 1)) if fake.apart is None else fake.apart
    apart = np.where(real.right[:, None], apart, 0.0)
    return apart[:, fake.member], apart.min(1)

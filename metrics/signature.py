"""Why a training stands where it stands: what its critic tells apart, how flat its generator is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, Score
from metrics.shares import mean_score, share_error

FLAT = 0.05
"""A stretch by less than this, in spreads of the data for a unit of z, is none."""
LEAST = 1e-4


Logits = Float[np.ndarray, " n"]
"""Of a critic, higher for what it takes for real."""

Stretches = Float[np.ndarray, "codes directions"]
"""Singular values of a generator's Jacobian at each code, largest first, in spreads of the data
for a unit of z.
"""


@dataclass(frozen=True, eq=False)
class Contest:
    """What a critic makes of n fakes: logits, and the norm of each logit's gradient by its fake, in
    the data's units.
    """

    logits: Logits
    slopes: Float[np.ndarray, " n"]


_CONTEST = {"takes": "contest", "direction": "none", "low": 0}
_STRETCHES = {"takes": "stretches", "direction": "none", "low": 0}
_PULLS = {"takes": "pulls", "direction": "none", "low": 0}


@METRICS.register(
    "critic_accuracy",
    title="critic's accuracy",
    high=1,
    percent=True,
    digits=1,
    estimator="share of new reals with a logit above 0 and of fakes with one below it, in equal "
    "parts; 50 % of a critic that can't tell; of losses whose logit has no threshold at 0 it is "
    "only which side they lie on",
    **_CONTEST,
)
def critic_accuracy(real: Logits, fake: Contest) -> Score:
    """How well the critic tells reals from fakes."""
    right = np.concatenate([real > 0, fake.logits < 0])
    share = float(right.mean())
    return Score(share, share_error(share, len(right)), len(right))


@METRICS.register(
    "critic_separation",
    title="critic's separation",
    high=1,
    percent=True,
    digits=1,
    estimator="share of pairs of a new real and a fake in which the real has the larger logit, "
    "ties half: the area under the ROC curve, whatever the logit's zero",
    **_CONTEST,
)
def critic_separation(real: Logits, fake: Contest) -> Score:
    """How well the critic ranks reals above fakes."""
    above = real[:, None] > fake.logits[None]
    level = real[:, None] == fake.logits[None]
    return Score(float((above + 0.5 * level).mean()), None, len(real))


@METRICS.register(
    "critic_slope",
    title="critic's slope at fakes",
    digits=3,
    estimator="mean norm of the logit's gradient by a fake, in the data's units: what the "
    "generator is told",
    **_CONTEST,
)
def critic_slope(real: Logits, fake: Contest) -> Score:
    """How steep the critic is where the generator's samples lie."""
    return mean_score(fake.slopes)


@METRICS.register(
    "generator_flat",
    title="flat codes",
    high=1,
    percent=True,
    digits=1,
    estimator="share of codes at which no direction moves the sample by 5 % of the data's spread "
    "for a unit of z",
    **_STRETCHES,
)
def generator_flat(real: None, fake: Stretches) -> Score:
    """How much of its codes a generator ignores."""
    share = float((fake[:, 0] < FLAT).mean())
    n = len(fake)
    return Score(share, share_error(share, n), n)


@METRICS.register(
    "generator_stretch",
    title="largest stretch",
    digits=3,
    estimator="median over codes of the largest singular value of the generator's Jacobian, in "
    "spreads of the data for a unit of z",
    **_STRETCHES,
)
def generator_stretch(real: None, fake: Stretches) -> Score:
    """How far a step in the codes moves a sample."""
    return Score(float(np.median(fake[:, 0])), None, len(fake))


@METRICS.register(
    "generator_condition",
    title="decades of stretch",
    digits=2,
    estimator="median over codes of log10 of the largest over the smallest singular value of the "
    "generator's Jacobian, those under 1e-4 taken for 1e-4; along 16 random "
    "directions of the codes where they have more",
    **_STRETCHES,
)
def generator_condition(real: None, fake: Stretches) -> Score:
    """How much flatter a generator is in one direction than in another (Odena et al. 2018)."""
    seen = np.maximum(fake, LEAST)
    return Score(float(np.median(np.log10(seen[:, 0] / seen[:, -1]))), None, len(seen))


@METRICS.register(
    "generator_gradient",
    title="generator's gradient",
    digits=4,
    estimator="norm of what the generator's last step before the look followed, over all weights",
    **_PULLS,
)
def generator_gradient(real: None, fake: Mapping[str, float]) -> float:
    """How strongly the generator is pulled."""
    return fake["generator"]


@METRICS.register(
    "critic_gradient",
    title="critic's gradient",
    digits=4,
    estimator="norm of what the critic's last step before the look followed, over all weights",
    **_PULLS,
)
def critic_gradient(real: None, fake: Mapping[str, float]) -> float:
    """How strongly the critic is pulled."""
    return fake["critic"]

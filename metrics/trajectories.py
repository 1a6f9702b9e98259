"""How a training came to its modes: when, which it lost and found again, when it collapsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from metrics.contracts import METRICS, PerMode, Score
from metrics.modes import near

MOST = 0.9
"""The share of the modes whose coverage counts as coverage of all."""
COLLAPSED = 0.5
"""A sampler that is near no more than this share of the modes has collapsed..."""
LOOKS = 3
"""...where it is so at as many looks in a row."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What a look at a training saw of K modes of true `weights`: the share of the samples that
    are of each, however good they are, and which of them good samples cover.
    """

    weights: PerMode
    shares: Float[np.ndarray, " modes"]
    covered: Bool[np.ndarray, " modes"]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What T looks at a training saw of K modes of true `weights`, after `steps` [T], in order."""

    weights: PerMode
    steps: Int[np.ndarray, " looks"]
    shares: Float[np.ndarray, "looks modes"]
    covered: Bool[np.ndarray, "looks modes"]

    @classmethod
    def of(cls, steps: Sequence[int], sights: Sequence[Sight]) -> Trajectory:
        """Of what was seen at each look. Raises ValueError where nothing was."""
        if not sights or len(sights) != len(steps):
            raise ValueError(f"expected a sight for each of {len(steps)} looks, got {len(sights)}")
        shares = np.stack([sight.shares for sight in sights])
        weights = sights[0].weights
        return cls(
            weights, np.asarray(steps), shares, np.stack([sight.covered for sight in sights])
        )

    @property
    def modes(self) -> int:
        """How many there are."""
        return len(self.weights)

    @property
    def few(self) -> Bool[np.ndarray, " looks"]:
        """Whether samples are near half of the modes at most."""
        return self.near <= COLLAPSED * self.modes

    @property
    def collapsed_at(self) -> int | None:
        """The first of the first three looks in a row with few modes; None where there are none."""
        few = self.few
        for at in range(len(few) - LOOKS + 1):
            if few[at : at + LOOKS].all():
                return at
        return None

    @property
    def collapsed_since(self) -> int | None:
        """The look since which there are few modes, to the end; None where there are not at the
        last three.
        """
        if len(self.few) < LOOKS or not self.few[-LOOKS:].all():
            return None
        return len(self.few) - int((~self.few[::-1]).argmax()) if not self.few.all() else 0

    @property
    def near(self) -> Int[np.ndarray, " looks"]:
        """How many modes samples are near."""
        return near(self.weights, self.shares).sum(axis=1)


_TRAJECTORY = {"takes": "trajectory", "low": 0}


@METRICS.register(
    "coverage_step",
    direction="lower",
    title="covered at step",
    digits=0,
    relative=0.1,
    estimator="step of the first look at which 90 % of the modes are covered; where there is none, "
    "the last step: a restricted mean over seeds",
    **_TRAJECTORY,
)
def coverage_step(real: None, fake: Trajectory) -> Score:
    """How long it takes to cover the modes."""
    enough = fake.covered.sum(axis=1) >= MOST * fake.modes
    at = int(enough.argmax()) if enough.any() else -1
    return Score(float(fake.steps[at]), None, len(fake.steps))


@METRICS.register(
    "coverage_mean",
    direction="higher",
    title="covered on the way",
    high=1,
    absolute=0.05,
    percent=True,
    shares=False,
    digits=1,
    estimator="mean over the looks of the share of the modes that is covered",
    **_TRAJECTORY,
)
def coverage_mean(real: None, fake: Trajectory) -> Score:
    """How much is covered throughout the training, and not only at its end."""
    return Score(float(fake.covered.mean()), None, len(fake.steps))


@METRICS.register(
    "modes_forgotten",
    direction="lower",
    title="forgotten",
    absolute=1,
    digits=1,
    estimator="how often a mode that a look finds covered is not at the next, over all modes",
    **_TRAJECTORY,
)
def modes_forgotten(real: None, fake: Trajectory) -> Score:
    """Modes lost on the way, each as often as it is lost."""
    lost = fake.covered[:-1] & ~fake.covered[1:]
    return Score(float(lost.sum()), None, len(fake.steps))


@METRICS.register(
    "modes_found_again",
    direction="none",
    title="found again",
    digits=1,
    estimator="how often a mode is covered that was covered at an earlier look, and not at the "
    "last one, over all modes: with what is forgotten, how much a training oscillates",
    **_TRAJECTORY,
)
def modes_found_again(real: None, fake: Trajectory) -> Score:
    """Modes lost and found again, each as often as it is found."""
    before = np.logical_or.accumulate(fake.covered, axis=0)[:-1]
    found = fake.covered[1:] & ~fake.covered[:-1] & before
    return Score(float(found.sum()), None, len(fake.steps))


@METRICS.register(
    "modes_ever",
    direction="higher",
    title="ever covered",
    counts_modes=True,
    absolute=0.5,
    digits=1,
    estimator="modes that are covered at one look at least",
    **_TRAJECTORY,
)
def modes_ever(real: None, fake: Trajectory) -> Score:
    """Modes that were covered at any time."""
    return Score(float(fake.covered.any(axis=0).sum()), None, len(fake.steps))


@METRICS.register(
    "collapse_step",
    direction="higher",
    title="collapsed at step",
    digits=0,
    relative=0.1,
    estimator="step of the first of three looks in a row at which samples are near half of the "
    "modes at most; where there are none, the last step: a restricted mean over seeds",
    **_TRAJECTORY,
)
def collapse_step(real: None, fake: Trajectory) -> Score:
    """When the training collapsed first."""
    at = fake.collapsed_at
    return Score(float(fake.steps[-1 if at is None else at]), None, len(fake.steps))


@METRICS.register(
    "collapsed_share",
    direction="lower",
    title="collapsed",
    high=1,
    absolute=0.05,
    percent=True,
    shares=False,
    digits=1,
    estimator="share of the looks at which samples are near half of the modes at most",
    **_TRAJECTORY,
)
def collapsed_share(real: None, fake: Trajectory) -> Score:
    """How much of the training is spent collapsed."""
    return Score(float(fake.few.mean()), None, len(fake.steps))

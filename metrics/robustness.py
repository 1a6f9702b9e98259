"""What an attack does to a classifier: error, robust accuracy, success, each with its denominator.

Images that were misclassified before the attack are errors that no attack made: `robust_accuracy`
and `adversarial_error` count all images, `attack_success` the others alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from metrics.contracts import METRICS, Score

PAPER = "arXiv:1412.6572"


@dataclass(frozen=True, eq=False)
class Clean:
    """The images before the attack: labels, predictions, and the confidence of each prediction."""

    labels: Int[np.ndarray, " n"]
    predictions: Int[np.ndarray, " n"]
    confidences: Float[np.ndarray, " n"]

    @property
    def right(self) -> Bool[np.ndarray, " n"]:
        """Which were classified as labelled."""
        return self.predictions == self.labels


@dataclass(frozen=True, eq=False)
class AfterAttack:
    """The images after it. distances: in the attack's norm; rms: the root of the mean squared
    difference of a pixel; within: which were misled at this radius or at a smaller one of a curve;
    forwards, backwards: passes through the classifier for each image, over all radii of the curve.
    reached: of each image the share of its targets that it is taken for, NaN where it has none.
    finders: which member of an ensemble misled each, -1 for none; member: the one in question.
    apart: how far each member of several searches moved each image, infinite where it misled the
    classifier about it no more than before.
    """

    predictions: Int[np.ndarray, " n"]
    confidences: Float[np.ndarray, " n"]
    distances: Float[np.ndarray, " n"]
    rms: Float[np.ndarray, " n"]
    within: Bool[np.ndarray, " n"]
    forwards: float = 0.0
    backwards: float = 0.0
    reached: Float[np.ndarray, " n"] | None = None
    finders: Int[np.ndarray, " n"] | None = None
    member: int = 0
    apart: Float[np.ndarray, "n members"] | None = None


Bits = Bool[np.ndarray, " n"]


def misled(real: Clean, fake: AfterAttack) -> Bits:
    """Which images were right before and are not any more."""
    return real.right & (fake.predictions != real.labels)


def outcomes(name: str, real: Clean, fake: AfterAttack) -> Bits | None:
    """The bits that a share is the mean of, image by image, or None for another kind of metric.

    For `attack_success` and `attack_success_within`: of the images that were right before.
    """
    wrong = fake.predictions != real.labels
    known = {
        "clean_error": ~real.right,
        "adversarial_error": wrong,
        "robust_accuracy": real.right & ~fake.within,
        "attack_success": misled(real, fake)[real.right],
        "attack_success_within": fake.within[real.right],
    }
    if name == "success_by":
        return _found_by(real, fake)
    return known.get(name)


def _found_by(real: Clean, fake: AfterAttack) -> Bits:
    """Of the images that were right those that the member in question misled."""
    assert fake.finders is not None
    return (fake.finders == fake.member)[real.right]


def share(bits: Shaped[np.ndarray, " n"]) -> Score:
    """The mean of bits and its binomial standard error; 0 of 0 is 0."""
    n = len(bits)
    share = float(bits.mean()) if n else 0.0
    return Score(share, float(np.sqrt(share * (1 - share) / n)) if n else 0.0, n)


def mean(values: Shaped[np.ndarray, " n"]) -> Score:
    """A mean with its standard error; 0 where there is nothing to average."""
    n = len(values)
    spread = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Score(float(values.mean()) if n else 0.0, spread, n)


SHARE = {
    "takes": "attack",
    "kind": "paired",
    "percent": True,
    "digits": 1,
    "low": 0,
    "high": 1,
    "absolute": 0.01,
}


@METRICS.register(
    "clean_error",
    direction="lower",
    title="clean error",
    estimator="share of all images that are misclassified before the attack",
    **SHARE,
)
def clean_error(real: Clean, fake: AfterAttack) -> Score:
    """The error without an attack."""
    return share(~real.right)


@METRICS.register(
    "adversarial_error",
    paper=PAPER,
    direction="lower",
    title="error",
    estimator="share of all images that are misclassified after the attack, at this radius "
    "literally: an image that the attack puts right counts as right",
    **SHARE,
)
def adversarial_error(real: Clean, fake: AfterAttack) -> Score:
    """The error after the attack, as papers print it."""
    return share(fake.predictions != real.labels)


@METRICS.register(
    "robust_accuracy",
    paper="arXiv:1706.06083",
    direction="higher",
    title="robust accuracy",
    estimator="share of all images that are right before the attack and at every radius of the "
    "curve up to this one",
    **SHARE,
)
def robust_accuracy(real: Clean, fake: AfterAttack) -> Score:
    """What is left of the accuracy at this radius or any smaller one of the curve."""
    return share(real.right & ~fake.within)


@METRICS.register(
    "attack_success",
    paper=PAPER,
    direction="lower",
    conditional=True,
    title="success",
    estimator="share of the images that were right before the attack and are misclassified by it, "
    "at this radius literally",
    **SHARE,
)
def attack_success(real: Clean, fake: AfterAttack) -> Score:
    """Success among the images that were right, at this radius alone; not monotone in it."""
    return share(misled(real, fake)[real.right])


@METRICS.register(
    "attack_success_within",
    direction="lower",
    conditional=True,
    title="success within",
    estimator="share of the images that were right before the attack and are misclassified by it "
    "at this radius or at a smaller one of the grid that the metric's name tells",
    **SHARE,
)
def attack_success_within(real: Clean, fake: AfterAttack) -> Score:
    """Success at this radius or any smaller one of the curve: depends on the grid of radii."""
    return share(fake.within[real.right])


@METRICS.register(
    "target_success",
    direction="lower",
    conditional=True,
    title="target reached",
    estimator="mean over the images that were right before the attack of the share of targets "
    "that they are taken for at this radius, literally",
    **SHARE,
)
def target_success(real: Clean, fake: AfterAttack) -> Score:
    """How often images are taken for what they were to be taken for."""
    reached = np.zeros(0) if fake.reached is None else fake.reached[real.right]
    return mean(reached[~np.isnan(reached)])


@METRICS.register(
    "success_by",
    paper="arXiv:2003.01690",
    direction="none",
    conditional=True,
    title="found by",
    estimator="share of the images that were right before the attack that this member misled "
    "where those before it failed; of several searches: nearer than the others",
    **SHARE,
)
def success_by(real: Clean, fake: AfterAttack) -> Score:
    """What a member of an ensemble adds to those before it."""
    return share(_found_by(real, fake))


@METRICS.register(
    "confidence_on_errors",
    paper=PAPER,
    takes="attack",
    direction="none",
    conditional=True,
    title="confidence on errors",
    shares=False,
    low=0,
    high=1,
    percent=True,
    digits=1,
    estimator="mean probability of the predicted class over the misclassified images, 0 where "
    "there are none",
)
def confidence_on_errors(real: Clean, fake: AfterAttack) -> Score:
    """How sure the classifier is where it is wrong (Goodfellow et al. 2014, section 4)."""
    return mean(fake.confidences[fake.predictions != real.labels])


@METRICS.register(
    "clean_confidence",
    paper=PAPER,
    takes="attack",
    direction="none",
    title="clean confidence",
    shares=False,
    low=0,
    high=1,
    percent=True,
    digits=1,
    estimator="mean probability of the predicted class over all images before the attack",
)
def clean_confidence(real: Clean, fake: AfterAttack) -> Score:
    """How sure the classifier is without an attack."""
    return mean(real.confidences)


@METRICS.register(
    "distortion",
    paper="arXiv:1312.6199",
    takes="attack",
    direction="higher",
    conditional=True,
    title="distortion",
    low=0,
    absolute=0.003,
    digits=3,
    estimator="mean over the images that the attack misled of the root of the mean squared "
    "difference of a pixel (Szegedy et al. 2013, section 4.2), 0 where there are none",
)
def distortion(real: Clean, fake: AfterAttack) -> Score:
    """How far the misled images were moved, a pixel on average."""
    return mean(fake.rms[misled(real, fake)])


@METRICS.register(
    "distance",
    takes="attack",
    direction="higher",
    conditional=True,
    title="distance",
    low=0,
    relative=0.02,
    digits=3,
    estimator="median over the images that the attack misled of the norm of the difference, in the "
    "attack's norm, 0 where there are none",
)
def distance(real: Clean, fake: AfterAttack) -> Score:
    """How far the misled images were moved, in the attack's norm."""
    found = fake.distances[misled(real, fake)]
    return Score(float(np.median(found)) if len(found) else 0.0, None, len(found))


_COST = {"takes": "attack", "direction": "lower", "low": 0, "digits": 1, "relative": 0.05}


@METRICS.register(
    "attack_forwards",
    title="forwards",
    estimator="images that the attack asked the classifier about, for each image attacked, over "
    "all radii of the curve",
    **_COST,
)
def attack_forwards(real: Clean, fake: AfterAttack) -> Score:
    """What the attack cost in forward passes, an image."""
    return Score(fake.forwards, None, len(real.labels))


@METRICS.register(
    "attack_backwards",
    title="backwards",
    estimator="gradients that the attack took, for each image attacked, over all radii of the "
    "curve",
    **_COST,
)
def attack_backwards(real: Clean, fake: AfterAttack) -> Score:
    """What the attack cost in backward passes, an image."""
    return Score(fake.backwards, None, len(real.labels))

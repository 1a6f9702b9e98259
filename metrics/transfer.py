"""Attacked images that were made on one classifier and shown to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from metrics.contracts import METRICS, Score
from metrics.robustness import PAPER, SHARE, Clean, mean, share


@dataclass(frozen=True, eq=False)
class Transferred:
    """Images made on one classifier and shown to another. source: what the one they were made on
    makes of them, predictions [n]; distances and rms as in `AfterAttack`.
    """

    predictions: Int[np.ndarray, " n"]
    confidences: Float[np.ndarray, " n"]
    source: Int[np.ndarray, " n"]
    rms: Float[np.ndarray, " n"]


_SHOWN = {**SHARE, "takes": "transfer", "kind": "seeded"}
_CHOSEN = {**_SHOWN, "conditional": True}


@METRICS.register(
    "transfer_error",
    paper=PAPER,
    direction="lower",
    title="error",
    estimator="share of all images, made on another classifier, that this one misclassifies",
    **_SHOWN,
)
def transfer_error(real: Clean, fake: Transferred) -> Score:
    """The error on images made on another classifier."""
    return share(fake.predictions != real.labels)


@METRICS.register(
    "transfer_success",
    paper=PAPER,
    direction="lower",
    title="success",
    estimator="share of the images that this classifier had right and the other one is misled by "
    "which mislead this one too",
    **_CHOSEN,
)
def transfer_success(real: Clean, fake: Transferred) -> Score:
    """How many of the images that work on the other classifier work here."""
    counted = real.right & (fake.source != real.labels)
    return share(fake.predictions[counted] != real.labels[counted])


@METRICS.register(
    "class_agreement",
    paper=PAPER,
    direction="none",
    title="same class",
    estimator="share of the images that mislead the other classifier to which this one gives the "
    "same class",
    **{k: v for k, v in _CHOSEN.items() if k != "absolute"},
)
def class_agreement(real: Clean, fake: Transferred) -> Score:
    """How often both give the same wrong class (Goodfellow et al. 2014, section 8)."""
    counted = fake.source != real.labels
    return share(fake.predictions[counted] == fake.source[counted])


@METRICS.register(
    "class_agreement_on_errors",
    paper=PAPER,
    direction="none",
    title="same class, both wrong",
    estimator="share of the images that mislead both classifiers to which both give the same class",
    **{k: v for k, v in _CHOSEN.items() if k != "absolute"},
)
def class_agreement_on_errors(real: Clean, fake: Transferred) -> Score:
    """The same, over images that both get wrong."""
    counted = (fake.source != real.labels) & (fake.predictions != real.labels)
    return share(fake.predictions[counted] == fake.source[counted])


@METRICS.register(
    "transfer_confidence",
    paper=PAPER,
    takes="transfer",
    direction="none",
    title="confidence on errors",
    conditional=True,
    shares=False,
    low=0,
    high=1,
    percent=True,
    digits=1,
    estimator="mean probability of the predicted class over the misclassified images, 0 where "
    "there are none",
)
def transfer_confidence(real: Clean, fake: Transferred) -> Score:
    """How sure this classifier is where it is wrong."""
    return mean(fake.confidences[fake.predictions != real.labels])


@METRICS.register(
    "transfer_distortion",
    paper="arXiv:1312.6199",
    takes="transfer",
    direction="none",
    title="distortion",
    low=0,
    digits=3,
    estimator="mean over all images of the root of the mean squared difference of a pixel",
)
def transfer_distortion(real: Clean, fake: Transferred) -> Score:
    """How far the images were moved, a pixel on average."""
    return mean(fake.rms)

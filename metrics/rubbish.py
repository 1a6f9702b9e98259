"""What a classifier makes of inputs that show nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, Score
from metrics.robustness import PAPER, mean, share


@dataclass(frozen=True, eq=False)
class Rubbish:
    """What a classifier makes of inputs that show nothing: the probability of every class."""

    probabilities: Float[np.ndarray, "n classes"]


@METRICS.register(
    "rubbish_rate",
    paper=PAPER,
    takes="rubbish",
    direction="lower",
    title="taken for a class",
    low=0,
    high=1,
    percent=True,
    digits=1,
    absolute=0.01,
    estimator="share of Gaussian noise inputs, N(0, 1) in every pixel, to which some class is "
    "given a probability above a half",
)
def rubbish_rate(real: None, fake: Rubbish) -> Score:
    """How often noise is taken for something (Goodfellow et al. 2014, appendix A)."""
    return share(fake.probabilities.max(axis=1) > 0.5)


@METRICS.register(
    "rubbish_confidence",
    paper=PAPER,
    takes="rubbish",
    direction="none",
    title="confidence",
    conditional=True,
    shares=False,
    low=0,
    high=1,
    percent=True,
    digits=1,
    estimator="mean of the largest probability over the inputs taken for a class, 0 where none is",
)
def rubbish_confidence(real: None, fake: Rubbish) -> Score:
    """How sure the classifier is of the noise it takes for something."""
    largest = fake.probabilities.max(axis=1)
    return mean(largest[largest > 0.5])

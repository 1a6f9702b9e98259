"""Rebuilt examples: how far what was decoded of a code is from what was encoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, PerPoint, Score
from metrics.shares import mean_score, ratio_score

Images = Float[np.ndarray, "n ..."]
"""Images [n, c, h, w], or points [n, d]."""


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """What was made of n images, or points. images: decoded, as they are: outside [0, 1] where a
    model puts them there. mean: the mean training image. variance: of the training images' values
    about it, the mean over pixels.
    """

    images: Images
    mean: Float[np.ndarray, "..."]
    variance: float


def _distances(real: Images, other: np.ndarray) -> PerPoint:
    """The squared distance of each image, summed over its values."""
    return np.square(real.astype(np.float64) - other).reshape(len(real), -1).sum(1)


@METRICS.register(
    "squared_error",
    paper="doi:10.1126/science.1127647",
    takes="decoded",
    direction="lower",
    title="squared error",
    low=0,
    relative=0.03,
    digits=2,
    estimator="the squared distance of an image in [0, 1] to what is decoded of its code, summed "
    "over its values, and its mean over images",
)
def squared_error(real: Images, fake: Rebuilt) -> Score:
    """How much is lost."""
    return mean_score(_distances(real, fake.images))


@METRICS.register(
    "error_share",
    takes="decoded",
    direction="lower",
    title="error share",
    low=0,
    relative=0.03,
    digits=3,
    estimator="the summed squared distances over those of the same images to the mean training "
    "image; its standard error is that of a ratio of means",
)
def error_share(real: Images, fake: Rebuilt) -> Score:
    """What is lost of the variance there is; 1 for the mean training image."""
    return ratio_score(_distances(real, fake.images), _distances(real, fake.mean))


@METRICS.register(
    "scaled_error",
    paper="doi:10.1126/science.1127647",
    takes="decoded",
    direction="lower",
    title="scaled error",
    low=0,
    relative=0.03,
    digits=1,
    estimator="the squared error of values in units in which the training images' have variance 1 "
    "about their mean image, the mean over pixels: as many for the mean image as there are pixels",
)
def scaled_error(real: Images, fake: Rebuilt) -> Score:
    """As the 2006 paper has it for faces."""
    return mean_score(_distances(real, fake.images) / fake.variance)

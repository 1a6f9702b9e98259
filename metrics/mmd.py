"""MMD^2 under a Gaussian kernel: sees any difference, of the size of its bandwidth."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist

from bench.core.errors import UsageError
from metrics.contracts import METRICS, OtherPoints, Points, Score
from metrics.discrepancy import MOST, discrepancy
from metrics.features import Features
from metrics.neighbours import squared_distances

FOR_BANDWIDTH = 1_000
LOW_DIMS = 16


@METRICS.register(
    "mmd",
    paper="arXiv:0805.2368",
    takes="features",
    direction="lower",
    title="MMD^2",
    relative=0.05,
    digits=4,
    most_dims=LOW_DIMS,
    estimator="MMD^2 under exp(-|x - y|^2 / 2 s^2), s the median distance among the first "
    f"{FOR_BANDWIDTH:,} reals; unbiased, over the first {MOST:,} of each",
)
def mmd(real: Features, fake: Features) -> Score:
    """The squared discrepancy under a Gaussian kernel of the reals' own width.

    Raises UsageError where half of the reals are one point.
    """
    width = _median_square(real.exact[:FOR_BANDWIDTH])

    def gaussian(x: Points, y: OtherPoints) -> np.ndarray:
        squares = squared_distances(x, y)
        squares /= -2 * width
        return np.exp(squares, out=squares)

    return discrepancy(real, fake, gaussian, centred=True)


def _median_square(points: Points) -> float:
    found = float(np.median(pdist(points))) ** 2
    if found <= 0:
        raise UsageError("the median distance of the reals is 0: there is no width for a kernel")
    return found

"""The energy distance: no bandwidth to choose, and 0 only for equal distributions."""

from __future__ import annotations

import numpy as np

from metrics.contracts import METRICS, OtherPoints, Points, Score
from metrics.discrepancy import MOST, discrepancy
from metrics.features import Features
from metrics.mmd import LOW_DIMS
from metrics.neighbours import squared_distances


@METRICS.register(
    "energy_distance",
    paper="doi:10.1016/j.jspi.2013.03.018",
    takes="features",
    direction="lower",
    title="energy distance",
    relative=0.05,
    digits=4,
    most_dims=LOW_DIMS,
    estimator="2 E|x - y| - E|x - x'| - E|y - y'|, unbiased, so it may be negative; over the first "
    f"{MOST:,} of each",
    scale=1,
    symmetric=True,
)
def energy_distance(real: Features, fake: Features) -> Score:
    """The energy distance of the features (Szekely and Rizzo 2013, squared: without the root)."""

    def nearness(x: Points, y: OtherPoints) -> np.ndarray:
        squares = squared_distances(x, y)
        np.sqrt(squares, out=squares)
        return np.negative(squares, out=squares)

    return discrepancy(real, fake, nearness, centred=True)

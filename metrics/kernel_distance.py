"""The kernel distance: MMD^2 under a cubic kernel, whose expectation no sample size changes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, OtherPoints, Points, Score
from metrics.discrepancy import MOST, discrepancy
from metrics.features import Features


@METRICS.register(
    "kernel_distance",
    paper="arXiv:1801.01401",
    takes="features",
    direction="lower",
    title="kernel distance",
    relative=0.05,
    digits=4,
    estimator="MMD^2 under (x.y / d + 1)^3, unbiased, so it may be negative; one U-statistic over "
    f"the first {MOST:,} of each instead of a mean over subsets of 1,000; standard error of both "
    "orders of the U-statistic",
    symmetric=True,
    exempt="similarities-change-the-unit-only[scaled,shrunk,moved]: of angle and size",
)
def kernel_distance(real: Features, fake: Features) -> Score:
    """The squared discrepancy of the features under the cubic kernel."""
    return discrepancy(real, fake, cubic)


def cubic(x: Points, y: OtherPoints) -> Float[np.ndarray, "n m"]:
    """(x.y / d + 1)^3."""
    values = x @ y.T
    values /= x.shape[1]
    values += 1
    return values * values * values

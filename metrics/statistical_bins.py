"""Statistically different bins: which parts of the data hold too many samples, or too few?"""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.special import ndtri

from bench.core.errors import UsageError
from metrics.contracts import METRICS, Score
from metrics.features import Features, refuse_dims

BINS = 100
LEVEL = 0.05
LEAST = 10
"""Samples of each set that a bin must have room for."""


@METRICS.register(
    "different_bins",
    paper="arXiv:1805.12462",
    takes="features",
    direction="lower",
    title="different bins",
    low=0,
    high=1,
    absolute=0.05,
    percent=True,
    digits=0,
    estimator=f"share of {BINS} k-means bins whose share of samples differs from that of reals, "
    f"two-proportion z-test at {LEVEL}: 5 % where they are alike. NDB/K of the paper, but the bins "
    "are made from one half of the reals and compared with the other: their own points would fill "
    "them too evenly; standard error over the bins",
    least=(2_000, 1_000),
    exempt="the-order-does-not-matter: bins of one half, compared with the other",
)
def different_bins(real: Features, fake: Features) -> Score:
    """The share of bins that differ. Raises UsageError for fewer than 10 samples a bin."""
    from sklearn.cluster import KMeans

    refuse_dims(real, fake)
    half = real.n // 2
    if min(half, fake.n) < LEAST * BINS:
        raise UsageError(
            f"{BINS} bins need {2 * LEAST * BINS:,} reals and {LEAST * BINS:,} fakes, got "
            f"{real.n:,} and {fake.n:,}"
        )
    bins = KMeans(BINS, random_state=0).fit(real.exact[:half])
    held, made = (
        np.bincount(bins.predict(points), minlength=BINS) / len(points)
        for points in (real.exact[half:], fake.exact)
    )
    scores = z_scores(held, made, real.n - half, fake.n)
    value = float((np.abs(scores) > ndtri(1 - LEVEL / 2)).mean())
    return Score(value, sqrt(value * (1 - value) / BINS), fake.n)


def z_scores(first: np.ndarray, second: np.ndarray, n: int, m: int) -> np.ndarray:
    """Of two sets of shares, of n and m samples, with the pooled variance; 0 for empty bins."""
    pooled = (n * first + m * second) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.where(error > 0, (first - second) / np.where(error > 0, error, 1), 0.0)

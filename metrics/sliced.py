"""The sliced Wasserstein distance: exact transport along many lines."""

from __future__ import annotations

from math import sqrt

import numpy as np

from bench.core.randomness import stream
from metrics.contracts import METRICS, OtherPerPoint, PerPoint, Score
from metrics.features import Features, refuse_dims
from metrics.mmd import LOW_DIMS

LINES = 256


@METRICS.register(
    "sliced_wasserstein",
    paper="doi:10.1007/s10851-014-0506-3",
    takes="features",
    direction="lower",
    title="sliced Wasserstein",
    low=0,
    relative=0.05,
    digits=4,
    most_dims=LOW_DIMS,
    estimator=f"root of the mean over {LINES} fixed random directions of the squared 2-Wasserstein "
    "distance of the projections; biased upwards; standard error over the directions only",
    scale=1,
    symmetric=True,
    exempt="similarities-change-the-unit-only[turned]: its lines are drawn once, at random",
)
def sliced_wasserstein(real: Features, fake: Features) -> Score:
    """The 2-Wasserstein distance along lines."""
    refuse_dims(real, fake)
    rng = np.random.default_rng(stream("sliced_wasserstein").initial_seed())
    lines = rng.standard_normal((real.dims, LINES))
    lines /= np.linalg.norm(lines, axis=0)
    squares = np.array([transport(real.exact @ line, fake.exact @ line) for line in lines.T])
    value = sqrt(squares.mean())
    error = float(squares.std(ddof=1)) / sqrt(LINES) / (2 * value) if value else 0.0
    return Score(value, error, fake.n)


def transport(first: PerPoint, second: OtherPerPoint) -> float:
    """The squared 2-Wasserstein distance of two sets of numbers, of any sizes."""
    a, b = np.sort(first), np.sort(second)
    levels = np.union1d(np.arange(1, len(a) + 1) / len(a), np.arange(1, len(b) + 1) / len(b))
    middles = levels - np.diff(levels, prepend=0) / 2
    at_a = a[np.minimum((middles * len(a)).astype(int), len(a) - 1)]
    at_b = b[np.minimum((middles * len(b)).astype(int), len(b) - 1)]
    return float((np.diff(levels, prepend=0) * np.square(at_a - at_b)).sum())

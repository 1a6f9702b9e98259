"""Means and covariances of features: streamed in float64, and merged across parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Bool, Float

from bench.core.errors import UsageError
from metrics.contracts import Points

CHUNK = 8_192


def centre(points: Points) -> tuple[Float[np.ndarray, " d"], Points]:
    """The mean in float64, and the points without it. A constant coordinate is exactly 0 then."""
    start = points[0].astype(np.float64)
    shifted = points - start
    step = shifted.mean(0)
    shifted -= step
    return start + step, shifted


@dataclass(frozen=True, eq=False)
class Moments:
    """The first two moments of n points [n, d], in float64.

    mean: [d]; scatter: [d, d], the sum over points of (x - mean)(x - mean)^T. Two of them add up
    (Chan, Golub and LeVeque 1983), in any order to rounding: 1e-12 of the trace.
    """

    n: int
    mean: Float[np.ndarray, " d"]
    scatter: Float[np.ndarray, "d d"]

    @classmethod
    def of(cls, points: Points) -> Moments:
        """Of points [n, d], a few thousand at a time."""
        if points.ndim != 2:
            raise UsageError(f"moments: expected points [n, d], got {points.shape}")
        parts = (points[i : i + CHUNK] for i in range(0, len(points), CHUNK))
        return reduce(Moments.__add__, map(cls._of, parts), cls.empty(points.shape[1]))

    @classmethod
    def _of(cls, points: Points) -> Moments:
        mean, centred = centre(points)
        return cls(len(points), mean, centred.T @ centred)

    @classmethod
    def empty(cls, dims: int) -> Moments:
        """Of no points."""
        return cls(0, np.zeros(dims), np.zeros((dims, dims)))

    def __add__(self, other: Moments) -> Moments:
        n = self.n + other.n
        if not self.n or not other.n:
            return other if not self.n else self
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter += np.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), scatter)

    def of_dims(self, kept: np.ndarray) -> Moments:
        """Of some of the coordinates."""
        if kept.all():
            return self
        return Moments(self.n, self.mean[kept], self.scatter[np.ix_(kept, kept)])

    @property
    def varying(self) -> Bool[np.ndarray, " d"]:
        """Which coordinates have any variance."""
        return self.scatter.diagonal() > 0

    @property
    def trace(self) -> float:
        """Of the covariance."""
        return float(self.scatter.trace()) / (self.n - 1)

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """With n - 1 in the denominator, as np.cov. Raises UsageError for fewer than 2 points."""
        if self.n < 2:
            raise UsageError(f"a covariance needs 2 points or more, got {self.n}")
        return self.scatter / (self.n - 1)

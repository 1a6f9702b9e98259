"""Squared maximum mean discrepancy by its U-statistic, and how far it may be off.

mean k(x, x') - 2 mean k(x, y) + mean k(y, y'), no sample paired with itself (Gretton et al. 2012,
Lemma 6, for unequal sizes): unbiased, so that it may be negative. Its variance has a first-order
part, from the means of the rows of the three matrices, and a second-order one, from what is left of
their entries: all that there is where the distributions are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float

from bench.core.errors import UsageError
from metrics.contracts import OtherPerPoint, OtherPoints, PerPoint, Points, Score
from metrics.features import Apply, Features, refuse_dims
from metrics.neighbours import parts

Kernel = Callable[[Points, OtherPoints], Float[np.ndarray, "n m"]]
MOST = 10_000
"""Samples of each set that are used, the first ones: the cost grows with their square."""


@dataclass(frozen=True, eq=False)
class _Sums:
    """Of a matrix of kernel values: means by row and by column, the mean, the mean square."""

    rows: PerPoint
    columns: OtherPerPoint
    mean: float
    square: float

    @property
    def variance(self) -> float:
        return max(self.square - self.mean**2, 0.0)


def discrepancy(real: Features, fake: Features, kernel: Kernel, centred: bool = False) -> Score:
    """Between two sets of features, under a kernel of blocks [n, d], [m, d] to [n, m]. centred: one
    of the reals becomes the origin first, for kernels of distances.

    Raises UsageError for fewer than four samples of either.
    """
    refuse_dims(real, fake)
    x, y, apply = real.exact[:MOST], fake.exact[:MOST], real.apply
    if centred:
        x, y = x - x[0], y - x[0]
    n, m = len(x), len(y)
    if min(n, m) < 4:
        raise UsageError(f"it needs 4 samples of each, got {n} and {m}")
    xx, yy = _within(x, kernel, apply), _within(y, kernel, apply)
    xy = _between(x, y, kernel, apply)
    second = _rest_between(xy, n, m)
    rest_x, rest_y = _rest_within(xx, n), _rest_within(yy, m)
    first_x = (xx.rows - xy.rows).var(ddof=1) - rest_x / (n - 1) - second / m
    first_y = (yy.rows - xy.columns).var(ddof=1) - rest_y / (m - 1) - second / n
    variance = 4 * max(first_x, 0.0) / n + 4 * max(first_y, 0.0) / m
    variance += 2 * rest_x / (n * (n - 1)) + 2 * rest_y / (m * (m - 1)) + 4 * second / (n * m)
    return Score(float(xx.mean + yy.mean - 2 * xy.mean), sqrt(variance), m)


def _rest_within(sums: _Sums, n: int) -> float:
    """The variance of the entries that their rows and columns don't explain."""
    return max(sums.variance - 2 * float(sums.rows.var(ddof=1)), 0.0) / (1 - 2 / (n - 1))


def _rest_between(sums: _Sums, n: int, m: int) -> float:
    explained = float(sums.rows.var(ddof=1) + sums.columns.var(ddof=1))
    return max(sums.variance - explained, 0.0) / (1 - 1 / n - 1 / m)


def _between(x: Points, y: OtherPoints, kernel: Kernel, apply: Apply) -> _Sums:
    n, m = len(x), len(y)
    rows, columns, square = np.empty(n), np.zeros(m), 0.0

    def look(part: slice) -> tuple[slice, PerPoint, OtherPerPoint, float]:
        values = kernel(x[part], y)
        return part, values.sum(1), values.sum(0), float(np.vdot(values, values))

    for part, by_row, by_column, squares in apply(look, parts(n, m)):
        rows[part] = by_row
        columns += by_column
        square += squares
    return _Sums(rows / m, columns / n, float(rows.sum()) / (n * m), square / (n * m))


def _within(x: Points, kernel: Kernel, apply: Apply) -> _Sums:
    """Without the diagonal; each pair is looked at once."""
    n = len(x)
    rows, square = np.zeros(n), 0.0

    def look(part: slice) -> tuple[slice, PerPoint, OtherPerPoint, float]:
        values = kernel(x[part], x[part.start :])
        size = part.stop - part.start
        own = values[:, :size]
        own[np.arange(size), np.arange(size)] = 0
        right = values[:, size:]
        squares = float(np.vdot(own, own)) + 2 * float(np.square(right).sum())
        return part, values.sum(1), right.sum(0), squares

    for part, by_row, by_column, squares in apply(look, parts(n, n)):
        rows[part] += by_row
        rows[part.stop :] += by_column
        square += squares
    pairs = n * (n - 1)
    means = rows / (n - 1)
    return _Sums(means, means, float(rows.sum()) / pairs, square / pairs)

"""The Frechet distance between two sets of features, each taken for a Gaussian.

|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2) (Dowson and Landau 1982; Heusel et al. 2017 for
Inception features). The last trace is the sum of the singular values of F1^T F2 for any factors
Si = Fi Fi^T: no matrix square root, no complex number, and no full rank is needed. Coordinates
without variance in either set add nothing to it. Three routes to the rest, by what is there:

- fewer points than dimensions: the singular values of the points' cross-Gram matrix, n1 x n2;
- covariances far from singular: eigenvalues of L1^T S2 L1, with L1 L1^T = S1 (Cholesky);
- any others: the singular values of R1 R2^T, with R the triangle of the points' own QR, or, where
  moments are all there is, of the square roots of their eigenvalues.

Its standard error is that of the first-order term in either distribution: with T = S1 # S2^-1 the
map of optimal transport, a sample x of the second set moves the distance by
2 (m2 - m1)'(x - m2) + (x - m2)'(I - T)(x - m2), less its mean. It knows nothing of the bias, which
grows as 1/n and is most of the error between sets that are alike.
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.linalg import LinAlgError, cholesky, eigh, get_lapack_funcs, solve_triangular

from bench.core.errors import UsageError
from metrics.contracts import METRICS, OtherPoints, PerPoint, Points, Score
from metrics.features import NO_POINTS, Features, refuse_dims
from metrics.moments import Moments, centre

Matrix = Float[np.ndarray, "d d"]
EXACT = 1e-9
"""The bound of the error, over the sum of the traces, up to which eigenvalues are trusted."""
CONDITION = 1e-10
"""The least eigenvalue, over the largest, for which a standard error is given."""
ROUNDINGS = 8
CHUNK = 4_096


@METRICS.register(
    "frechet",
    paper="arXiv:1706.08500",
    takes="features",
    direction="lower",
    title="Frechet",
    low=0,
    relative=0.05,
    digits=3,
    estimator="|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), covariances over n - 1, in "
    "float64; biased upwards by about 1/n; standard error of its first-order term",
    scale=2,
    symmetric=True,
)
def frechet(real: Features, fake: Features) -> Score:
    """The Frechet distance of the features, all of them."""
    refuse_dims(real, fake)
    if real.points is None or fake.points is None:
        return Score(frechet_of_moments(real.moments, fake.moments), None, fake.n)
    if min(real.n, fake.n) <= real.dims:
        return Score(frechet_distance(real.points, fake.points), None, fake.n)
    value = frechet_distance(real.points, fake.points, real.moments, fake.moments)
    return Score(value, standard_error(real, fake), fake.n)


@METRICS.register(
    "frechet_infinity",
    paper="arXiv:1911.07023",
    takes="features",
    direction="lower",
    title="Frechet at infinity",
    relative=0.05,
    digits=3,
    estimator="frechet of all, of disjoint halves and of disjoint quarters of both sets, a line "
    "through their means over 1/n, its value at 0; needs more than 4 samples a dimension; the "
    "paper draws 15 random subsets of the fakes alone, so that the reals' bias stays; standard "
    "error of its first-order term, and of the second-order one by the quarters' spread",
    scale=2,
    symmetric=True,
    exempt="the-order-does-not-matter: halves and quarters by place",
)
def frechet_infinity(real: Features, fake: Features) -> Score:
    """The Frechet distance that infinitely many samples of both would have, extrapolated.

    Raises UsageError for 4 samples a dimension or fewer.
    """
    refuse_dims(real, fake)
    if real.points is None or fake.points is None:
        raise UsageError(NO_POINTS)
    least = min(real.n, fake.n)
    if least <= 4 * real.dims:
        raise UsageError(
            f"it needs more than 4 samples a dimension, {4 * real.dims + 1:,}, and there are "
            f"{least:,}"
        )
    whole = frechet(real, fake)
    halves, quarters = (_of_parts(real, fake, parts) for parts in (2, 4))
    value = whole.value + (halves.mean() - quarters.mean()) / 2
    return Score(float(value), _error_at_infinity(whole.std_error, quarters), fake.n)


def _error_at_infinity(first: float | None, quarters: PerPoint) -> float | None:
    """A quarter's variance is 4 times the first-order term of the whole's, and 16 times the
    second-order one, which reaches the value at 0 two and a half times.
    """
    if first is None:
        return None
    second = max(float(quarters.var(ddof=1)) - 4 * first**2, 0.0) / 16
    return sqrt(first**2 + 2.5 * second)


def _of_parts(real: Features, fake: Features, parts: int) -> PerPoint:
    """Of disjoint parts of both. (Least squares through x = 1, 2, 4 meets 0 at y1 + y2/2 - y4/2,
    y2 and y4 being means.)
    """
    sides = []
    for points in (real.exact, fake.exact):
        cuts = np.linspace(0, len(points), parts + 1).astype(int)
        sides.append([points[a:b] for a, b in pairwise(cuts)])
    return np.array([frechet_distance(a, b) for a, b in zip(*sides, strict=True)])


def frechet_distance(
    real: Points, fake: OtherPoints, first: Moments | None = None, second: Moments | None = None
) -> float:
    """Between two sets of features [n, d], as exactly as float64 allows; their moments may come
    along.
    """
    if min(len(real), len(fake)) <= real.shape[1]:
        return _of_few(real, fake)
    first, second = first or Moments.of(real), second or Moments.of(fake)
    kept = _varying(first, second)
    fast = _by_cholesky(first.of_dims(kept), second.of_dims(kept))
    return _of_few(real, fake) if fast is None else _of_moments(first, second, fast)


def _of_few(real: Points, fake: OtherPoints) -> float:
    """From the singular values of the points' cross-Gram matrix, triangles in the place of points
    where there are more of them than dimensions. No covariance is made.
    """
    means, traces, factors = [], [], []
    for points in (real, fake):
        mean, centred = centre(points)
        centred /= sqrt(len(points) - 1)
        means.append(mean)
        traces.append(float(np.vdot(centred, centred)))
        factors.append(centred)
    kept = np.logical_and(*(factor.any(0) for factor in factors))
    some = factors if kept.all() else [factor[:, kept] for factor in factors]
    one, other = map(_triangle, some)
    roots = _nuclear(one @ other.T) if kept.any() else 0.0
    return _distance(float(np.square(means[0] - means[1]).sum()), sum(traces), roots)


def frechet_of_moments(real: Moments, fake: Moments) -> float:
    """The same where moments are all there is; for covariances without full rank, to about 1e-7 of
    the sum of the traces.
    """
    kept = _varying(real, fake)
    a, b = real.of_dims(kept), fake.of_dims(kept)
    fast = _by_cholesky(a, b)
    if fast is None:
        fast = _nuclear(_factor(a.covariance).T @ _factor(b.covariance))
    return _of_moments(real, fake, fast)


def _varying(first: Moments, second: Moments) -> Bool[np.ndarray, " d"]:
    """Which coordinates have variance in both."""
    return first.varying & second.varying


def _of_moments(first: Moments, second: Moments, roots: float) -> float:
    apart = float(np.square(first.mean - second.mean).sum())
    return _distance(apart, first.trace + second.trace, roots)


def _distance(apart: float, traces: float, roots: float) -> float:
    """What rounding alone leaves below 0 is 0."""
    value = apart + traces - 2 * roots
    return 0.0 if -EXACT * traces < value < 0 else value


def _triangle(points: Points) -> Float[np.ndarray, "rows d"]:
    """R of the points' QR, whose R^T R is theirs; the points where they are as few."""
    if len(points) <= points.shape[1]:
        return points
    return torch.linalg.qr(torch.from_numpy(points), mode="r").R.numpy()


def _nuclear(matrix: np.ndarray) -> float:
    """The sum of the singular values."""
    return float(torch.linalg.svdvals(torch.from_numpy(matrix)).sum())


def _cholesky(matrix: Matrix) -> Matrix | None:
    """The lower factor of a covariance; None where rounding leaves it indefinite."""
    try:
        return cholesky(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return None


def _by_cholesky(first: Moments, second: Moments) -> float | None:
    """The sum of the roots of the eigenvalues; None where rounding may have moved it too far: an
    eigenvalue is off by as much as the last digits of both norms' product, its root by that over
    the root.
    """
    factor = _cholesky(first.scatter) if len(first.mean) else None
    if factor is None:
        return None
    reduce: Any = get_lapack_funcs("sygst", (factor, second.scatter))
    product, _ = reduce(second.scatter, factor, itype=2, lower=1)
    values = torch.linalg.eigvalsh(torch.from_numpy(product), UPLO="L").numpy()
    roots = np.sqrt(values.clip(0))
    norms = float(np.linalg.norm(first.scatter) * np.linalg.norm(second.scatter))
    off = ROUNDINGS * np.finfo(float).eps * norms
    errors = np.minimum(off / np.maximum(roots, sqrt(off)), roots + sqrt(off))
    scale = 1 / sqrt((first.n - 1) * (second.n - 1))
    if not errors.sum() * scale <= EXACT * (first.trace + second.trace):
        return None
    return float(roots.sum()) * scale


def _factor(matrix: Matrix) -> Float[np.ndarray, "d rank"]:
    """F with F F^T the matrix; what rounding alone could have left of an eigenvalue is 0."""
    values, vectors = eigh(matrix, check_finite=False)
    least = len(values) * np.finfo(np.float64).eps * max(values.max(initial=0), 0)
    kept = values > least
    return vectors[:, kept] * np.sqrt(values[kept])


def standard_error(real: Features, fake: Features) -> float | None:
    """Of the distance's first-order term; None where a covariance is near to singular."""
    first, second = real.moments, fake.moments
    kept = _varying(first, second)
    a, b = first.of_dims(kept).covariance, second.of_dims(kept).covariance
    factor = _cholesky(a)
    if factor is None or not len(a) or min(real.n, fake.n) <= kept.sum():
        return None
    values, vectors = (
        part.numpy() for part in torch.linalg.eigh(torch.from_numpy(factor.T @ b @ factor))
    )
    if values[0] < CONDITION * values[-1]:
        return None
    quarter = np.sqrt(np.sqrt(values))
    onto_real = factor @ (vectors / quarter)
    onto_fake = solve_triangular(factor, vectors * quarter, trans=1, lower=True)
    step = first.mean - second.mean
    variances = (
        _influence(_of(real), first, step, onto_fake, kept).var(ddof=1) / real.n,
        _influence(_of(fake), second, -step, onto_real, kept).var(ddof=1) / fake.n,
    )
    return sqrt(sum(variances))


def _of(features: Features) -> Points:
    """The points as they are: they become float64 a few thousand at a time."""
    if features.points is None:
        raise UsageError(NO_POINTS)
    return features.points


def _influence(
    points: Points,
    moments: Moments,
    step: Float[np.ndarray, " d"],
    root: Float[np.ndarray, "k k"],
    kept: Bool[np.ndarray, " d"],
) -> PerPoint:
    """What each point adds to the distance, to first order; the map of transport is root root'."""
    parts = []
    for start in range(0, len(points), CHUNK):
        centred = points[start : start + CHUNK] - moments.mean
        moved = centred[:, kept] @ root
        squares = np.square(centred).sum(1) - np.square(moved).sum(1)
        parts.append(2 * centred @ step + squares)
    return np.concatenate(parts)

"""The Frechet distance between two sets of features, each taken for a Gaussian.

|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2) (Dowson and Landau 1982; Heusel et al. 2017 for
Inception features). The last trace is the sum of the singular values of F1^T F2 for any factors
Si = Fi Fi^T: no matrix square root, no complex number, and no full rank is needed. Coordinates
without variance in either set add nothing to it. Three routes to the rest, by what is there:

- fewer points than dimensions: the singular values of the points' cross-Gram matrix, n1 x n2;
- covariances far from singular: eigenvalues of L^T S2 L, with L the Cholesky factor of S1;
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

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.linalg import LinAlgError, cholesky, eigh, solve_triangular

from bench.errors import UsageError
from metrics.contracts import METRICS, OtherPoints, PerPoint, Points, Score
from metrics.features import Features, refuse_dims
from metrics.moments import Moments

Matrix = Float[np.ndarray, "d d"]
CONDITION = 1e-3
"""Least diagonal entry of a Cholesky factor, over its largest, for its squares to be taken."""
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
)
def frechet(real: Features, fake: Features) -> Score:
    """The Frechet distance of the features, all of them."""
    refuse_dims(real, fake)
    if real.points is None or fake.points is None:
        return Score(frechet_of_moments(real.moments, fake.moments), None, fake.n)
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
)
def frechet_infinity(real: Features, fake: Features) -> Score:
    """The Frechet distance that infinitely many samples of both would have, extrapolated.

    Raises UsageError for 4 samples a dimension or fewer.
    """
    refuse_dims(real, fake)
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
    """Of disjoint parts of both. (Least squares through x = 1, 2, 4 meets 0 at y1 + y2 / 2 - y4 / 2,
    y2 and y4 being means.)
    """
    cuts = [np.linspace(0, side.n, parts + 1).astype(int) for side in (real, fake)]
    sides = [
        [side.exact[a:b] for a, b in pairwise(cut)]
        for side, cut in zip((real, fake), cuts, strict=True)
    ]
    return np.array([frechet_distance(a, b) for a, b in zip(*sides, strict=True)])


def frechet_distance(
    real: Points, fake: OtherPoints, first: Moments | None = None, second: Moments | None = None
) -> float:
    """Between two sets of features [n, d], as exactly as float64 allows; their moments may come
    along.
    """
    first, second = first or Moments.of(real), second or Moments.of(fake)
    kept = _varying(first, second)
    a, b = first.of_dims(kept), second.of_dims(kept)
    if min(len(real), len(fake)) <= kept.sum():
        roots = _by_points(real[:, kept], fake[:, kept], a, b)
    else:
        fast = _by_cholesky(a.covariance, b.covariance)
        roots = _by_points(real[:, kept], fake[:, kept], a, b) if fast is None else fast
    return _distance(first, second, roots)


def frechet_of_moments(real: Moments, fake: Moments) -> float:
    """The same where moments are all there is; for covariances without full rank, to about 1e-7 of
    the sum of the traces.
    """
    kept = _varying(real, fake)
    a, b = real.of_dims(kept).covariance, fake.of_dims(kept).covariance
    fast = _by_cholesky(a, b)
    roots = _nuclear(_factor(a).T @ _factor(b)) if fast is None else fast
    return _distance(real, fake, roots)


def _varying(first: Moments, second: Moments) -> Bool[np.ndarray, " d"]:
    """Which coordinates have variance in both."""
    return (first.scatter.diagonal() > 0) & (second.scatter.diagonal() > 0)


def _distance(first: Moments, second: Moments, roots: float) -> float:
    apart = float(np.square(first.mean - second.mean).sum())
    traces = float(np.trace(first.covariance) + np.trace(second.covariance))
    return apart + traces - 2 * roots


def _by_points(real: Points, fake: OtherPoints, first: Moments, second: Moments) -> float:
    """Singular values of the cross-Gram matrix, of triangles where there are more points than
    dimensions.
    """
    factors = []
    for points, moments in ((real, first), (fake, second)):
        centred = (points.astype(np.float64) - moments.mean) / sqrt(moments.n - 1)
        factors.append(_triangle(centred) if len(centred) > centred.shape[1] else centred)
    if not factors[0].size:
        return 0.0
    return _nuclear(factors[0] @ factors[1].T)


def _triangle(points: Points) -> Matrix:
    return torch.linalg.qr(torch.from_numpy(points), mode="r").R.numpy()


def _nuclear(matrix: np.ndarray) -> float:
    """The sum of the singular values."""
    return float(torch.linalg.svdvals(torch.from_numpy(matrix)).sum())


def _sound_factor(matrix: Matrix) -> Matrix | None:
    """The Cholesky factor of a covariance that is far from singular, else None."""
    try:
        factor = cholesky(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return None
    diagonal = factor.diagonal()
    return factor if len(diagonal) and diagonal.min() >= CONDITION * diagonal.max() else None


def _by_cholesky(first: Matrix, second: Matrix) -> float | None:
    """The sum of the roots, or None where either is too near to singular for squares of factors."""
    factor = _sound_factor(first)
    if factor is None or _sound_factor(second) is None:
        return None
    product = torch.from_numpy(factor.T @ second @ factor)
    return float(torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum())


def _factor(matrix: Matrix) -> Matrix:
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
    factor = _sound_factor(a)
    if factor is None or _sound_factor(b) is None or min(real.n, fake.n) <= kept.sum():
        return None
    values, vectors = (
        part.numpy() for part in torch.linalg.eigh(torch.from_numpy(factor.T @ b @ factor))
    )
    quarter = np.sqrt(np.sqrt(values.clip(np.finfo(float).tiny)))
    onto_real = factor @ (vectors / quarter)
    onto_fake = solve_triangular(factor, vectors * quarter, trans=1, lower=True)
    step = first.mean - second.mean
    variances = (
        _influence(real.exact, first, step, onto_fake, kept).var(ddof=1) / real.n,
        _influence(fake.exact, second, -step, onto_real, kept).var(ddof=1) / fake.n,
    )
    return sqrt(sum(variances))


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

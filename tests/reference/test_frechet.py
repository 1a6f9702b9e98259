"""The Frechet distance against other libraries, singular values by SciPy, and closed forms.

Errors are told as a share of the sum of the traces: that is the size of the terms that cancel.
"""

from math import sqrt

import numpy as np
import pytest
import torch
from scipy.linalg import svdvals

from metrics import METRICS
from metrics.features import Features
from metrics.frechet import frechet_distance, frechet_of_moments
from metrics.moments import Moments

FRECHET = METRICS["frechet"].part
SHAPES = [
    (16, 100, 300, 0.0),
    (16, 5_000, 200, -1.5),
    (64, 500, 500, 0.0),
    (64, 70, 500, -1.5),
    (256, 900, 600, -1.5),
]
"""Dimensions, samples of either, and decades over which the standard deviations go."""


def _rotation(dims, rng):
    return np.linalg.qr(rng.standard_normal((dims, dims)))[0]


def _normal(shape, rng, decades=0.0):
    """Normal points with standard deviations over so many decades, along any axes."""
    dims = shape[1]
    return rng.standard_normal(shape) * np.logspace(0, decades, dims) @ _rotation(dims, rng)


def _pair(dims, n, m, decades=0.0, scale=1.0, shift=0.0):
    rng = np.random.default_rng(dims)
    real, fake = _normal((n, dims), rng, decades), _normal((m, dims), rng, decades)
    return scale * real, scale * (1.3 * fake + shift)


def _traces(real, fake):
    return float(real.var(0, ddof=1).sum() + fake.var(0, ddof=1).sum())


def _torch_fidelity(real, fake):
    library = pytest.importorskip("torch_fidelity.metric_fid")
    first, second = (library.fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake))
    return library.fid_statistics_to_metric(first, second, False)[library.KEY_METRIC_FID]


def _torchmetrics(real, fake):
    library = pytest.importorskip("torchmetrics.image.fid")
    terms = [torch.from_numpy(f) for x in (real, fake) for f in (x.mean(0), np.cov(x.T))]
    return float(library._compute_fid(*terms))


def _exact(real, fake):
    """The cross-Gram matrix has the singular values that are wanted, whatever the ranks."""
    first, second = ((x - x.mean(0)) / sqrt(len(x) - 1) for x in (real, fake))
    apart = float(np.square(real.mean(0) - fake.mean(0)).sum())
    return apart + _traces(real, fake) - 2 * float(svdvals(first @ second.T).sum())


PEERS = pytest.mark.parametrize(
    "peer", [_torch_fidelity, _torchmetrics], ids=["torch-fidelity", "torchmetrics"]
)


@PEERS
@pytest.mark.parametrize(("dims", "n", "m", "decades"), SHAPES)
def test_other_libraries_find_the_same(peer, dims, n, m, decades):
    """Where there are more samples than dimensions, to 1e-6."""
    real, fake = _pair(dims, n, m, decades)
    score = FRECHET(Features(real), Features(fake))
    assert score.value == pytest.approx(peer(real, fake), abs=1e-6 * _traces(real, fake))
    assert score.n == m


@PEERS
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("shift", [0.0, 0.5, 100.0])
def test_other_libraries_find_the_same_at_any_scale(peer, scale, shift):
    """Features of any unit, with means that lie near or far."""
    real, fake = _pair(32, 200, 300, -1.0, scale, shift)
    slack = 1e-6 * _traces(real, fake)
    assert FRECHET(Features(real), Features(fake)).value == pytest.approx(
        peer(real, fake), abs=slack
    )


def _dead(points, columns, value=0.0):
    points = points.copy()
    points[:, columns] = value
    return points


def _double(points):
    return np.concatenate([points, points[:, :7], points[:, :3]], axis=1)


def _low_rank(n, rng):
    return rng.standard_normal((n, 5)) @ np.linspace(-1, 1, 5 * 40).reshape(5, 40) ** 3


def _hidden(n, rng):
    """A triangular factor that is near to singular, though its diagonal does not show it."""
    return rng.standard_normal((n, 40)) @ (np.eye(40) - np.tril(np.ones((40, 40)), -1)).T


def _deficient(name):
    """Two sets of features of which one or both lack full rank."""
    rng = np.random.default_rng(7)
    real, fake = _normal((200, 40), rng, -1.0), 1.5 * _normal((150, 40), rng, -1.0) + 0.2
    return {
        "duplicate columns": lambda: (_double(real), _double(fake)),
        "duplicate columns in one": lambda: (
            _double(real),
            np.concatenate([fake, fake[:, ::-1][:, :10]], axis=1),
        ),
        "dead columns in one": lambda: (_dead(real, [0, 9]), fake),
        "dead columns in the other": lambda: (real, _dead(fake, [0, 9])),
        "dead columns in both": lambda: (_dead(real, [0, 9]), _dead(fake, [9, 30])),
        "constant columns": lambda: (_dead(real, [0, 9], 0.1), _dead(fake, [9, 30], 0.3)),
        "all dead in one": lambda: (_dead(real, slice(None), 0.5), fake),
        "low rank": lambda: (_low_rank(200, rng), _low_rank(150, rng)),
        "low rank in one": lambda: (_low_rank(200, rng), fake),
        "low rank and shifted": lambda: (_low_rank(200, rng), _low_rank(150, rng) + 10),
        "near to singular": lambda: (_hidden(200, rng), _hidden(150, rng)),
        "fewer samples": lambda: (real[:20], fake[:30]),
        "fewer samples in one": lambda: (real, fake[:11]),
        "two samples": lambda: (real[:2], fake[:2]),
        "as many samples": lambda: (real[:40], fake[:40]),
        "one sample more": lambda: (real[:41], fake[:41]),
        "repeated samples": lambda: (np.repeat(real[:30], 5, axis=0), fake),
        "full rank": lambda: (real, fake),
    }[name]()


DEFICIENT = [
    "duplicate columns",
    "duplicate columns in one",
    "dead columns in one",
    "dead columns in the other",
    "dead columns in both",
    "constant columns",
    "all dead in one",
    "low rank",
    "low rank in one",
    "low rank and shifted",
    "near to singular",
    "fewer samples",
    "fewer samples in one",
    "two samples",
    "as many samples",
    "one sample more",
    "repeated samples",
    "full rank",
]


@pytest.mark.parametrize("case", DEFICIENT)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_no_rank_is_needed(case, kind, scale):
    """The exact value, to 1e-9; either way round, and not below zero by more than that.

    Where a near-singular factor hides behind its diagonal, squares are taken of it: to 1e-8, the
    root of the rounding error.
    """
    real, fake = (scale * x.astype(kind) for x in _deficient(case))
    exact = [x.astype(np.float64) for x in (real, fake)]
    slack = (1e-8 if case == "near to singular" else 1e-9) * _traces(*exact)
    for first, second in ((real, fake), (fake, real)):
        score = FRECHET(Features(first), Features(second))
        assert score.value == pytest.approx(_exact(*exact), abs=slack)
        assert score.value >= -slack
        assert score.std_error is None or np.isfinite(score.std_error)


@pytest.mark.parametrize("case", DEFICIENT)
def test_moments_alone_are_nearly_as_good(case):
    """To 1e-7 where rank is lacking, as the docstring has it."""
    real, fake = _deficient(case)
    value = frechet_of_moments(Moments.of(real), Moments.of(fake))
    assert value == pytest.approx(_exact(real, fake), abs=1e-7 * _traces(real, fake))


@pytest.mark.parametrize("case", DEFICIENT)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_identical_sets_are_not_apart(case, side, scale):
    """Within 1e-8, in the same order or not: a real number, and no root of a negative one."""
    points = scale * _deficient(case)[side]
    slack = 1e-8 * _traces(points, points)
    for other in (points, points[::-1]):
        value = FRECHET(Features(points), Features(other)).value
        assert type(value) is float
        assert abs(value) <= slack


@pytest.mark.parametrize("dims", [1, 5, 60])
@pytest.mark.parametrize("n", [2, 1_000])
def test_commuting_covariances_have_a_closed_form(dims, n):
    """|m1 - m2|^2 and the squared differences of the standard deviations, from moments alone."""
    rng = np.random.default_rng(dims)
    axes, (first, second) = _rotation(dims, rng), rng.uniform(0.1, 3, (2, dims))
    means = rng.standard_normal((2, dims))
    sides = [
        Features(None, Moments(n, mean, (axes * spread**2 @ axes.T) * (n - 1)))
        for mean, spread in zip(means, (first, second), strict=True)
    ]
    wanted = np.square(means[0] - means[1]).sum() + np.square(first - second).sum()
    score = FRECHET(*sides)
    assert score.value == pytest.approx(wanted, rel=1e-12)
    assert (score.std_error, score.n) == (None, n)


def test_a_covariance_of_no_variance_has_a_closed_form():
    """A point is away from a Gaussian by its distance to the mean and by the trace."""
    point = Moments(10, np.array([3.0, 4.0]), np.zeros((2, 2)))
    cloud = Moments(10, np.zeros(2), 9 * np.array([[2.0, 0.5], [0.5, 1.0]]))
    for pair in ((point, cloud), (cloud, point)):
        assert frechet_of_moments(*pair) == pytest.approx(28)
    assert frechet_of_moments(point, point) == 0


def test_one_dimension_is_the_textbooks():
    """(m1 - m2)^2 + (s1 - s2)^2, deviations over n - 1."""
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1, (50, 1)), rng.normal(2, 3, (70, 1))
    wanted = (real.mean() - fake.mean()) ** 2 + (real.std(ddof=1) - fake.std(ddof=1)) ** 2
    assert frechet_distance(real, fake) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 1.0])
def test_a_constant_coordinate_leaves_the_standard_error(value):
    """It has no variance, whatever its value: the score is that of the others."""
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 1_000, 5))
    wanted = FRECHET(Features(real), Features(fake))
    constant = np.full((1_000, 1), value)
    score = FRECHET(*(Features(np.concatenate([x, constant], axis=1)) for x in (real, fake)))
    assert score.value == pytest.approx(wanted.value, rel=1e-9)
    assert score.std_error == pytest.approx(wanted.std_error, rel=1e-9)


@pytest.mark.parametrize("shape", [(40, 5), (100, 3)])
def test_the_value_at_infinity_is_the_line_of_least_squares(shape):
    """Through the means of the whole, the halves and the quarters, by NumPy's polynomial fit."""
    rng = np.random.default_rng(1)
    real, fake = rng.standard_normal(shape), 2 * rng.standard_normal(shape)
    means = [
        np.mean([_exact(a, b) for a, b in zip(np.split(real, k), np.split(fake, k), strict=True)])
        for k in (1, 2, 4)
    ]
    wanted = np.polynomial.Polynomial.fit([1, 2, 4], means, 1)(0)
    score = METRICS["frechet_infinity"].part(Features(real), Features(fake))
    assert score.value == pytest.approx(wanted, rel=1e-9)

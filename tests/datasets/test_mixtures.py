"""Mixtures by name, and what is refused as one."""

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture, from_table, grid, isotropic, ring


def test_a_degenerate_mixture_has_no_density():
    """The source says so, and asking all the same is an error."""
    flat = DATASETS["hd10@veegan"].part
    assert flat.degenerate
    assert flat.source(0).density is None
    with pytest.raises(ValueError, match=r"hd10@veegan.* is degenerate: it has no density"):
        flat.log_prob(np.zeros((1, 1200)))


def test_the_notebook_ring_has_seven_modes():
    """The angles of `linspace(0, 2 pi, 8)`, whose first and last are one point."""
    angles = np.linspace(0, 2 * np.pi, 8)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mixture = DATASETS["ring@unrolled-notebook"].part
    nearest = np.linalg.norm(points[:, None] - mixture.centres[None], axis=2)
    assert nearest.min(axis=1).max() < 1e-12
    weights = np.bincount(nearest.argmin(axis=1), minlength=7) / 8
    assert np.array_equal(weights, [2 / 8, *[1 / 8] * 6])
    np.testing.assert_allclose(mixture.weights, weights)


@pytest.mark.parametrize(
    ("name", "modes", "radius", "sigma", "points"),
    [
        ("ring8@pacgan", 8, 1, 0.01, 100_000),
        ("ring8@unrolled-paper", 8, 2, 0.02, None),
        ("grid25@pacgan", 25, np.sqrt(32), 0.05, 100_000),
    ],
)
def test_the_published_targets(name, modes, radius, sigma, points):
    """Number, place and width of the modes are those of the papers' code."""
    mixture = DATASETS[name].part
    assert mixture.centres.shape == (modes, 2)
    assert np.linalg.norm(mixture.centres, axis=1).max() == pytest.approx(radius)
    np.testing.assert_allclose(mixture.covariances, sigma**2)
    np.testing.assert_allclose(mixture.weights, 1 / modes)
    np.testing.assert_allclose(mixture.centres.sum(axis=0), 0, atol=1e-12)
    assert mixture.training_points == points


def test_rings_and_grids():
    """A ring starts at angle 0 and turns left; a grid holds every pair of its ticks."""
    np.testing.assert_allclose(ring(4, 2.0), [[2, 0], [0, 2], [-2, 0], [0, -2]], atol=1e-12)
    assert {tuple(point) for point in grid(-1, 0, 3)} == {
        (x, y) for x in (-1, 0, 3) for y in (-1, 0, 3)
    }
    assert isotropic("one", np.zeros((1, 3)), 0.5).covariances.tolist() == [[0.25] * 3]


CENTRES = [[0.0, 0.0], [1.0, 1.0]]


SQUARE = [[1.0, 0.2], [0.2, 1.0]]


BAD = [
    ({"centres": [[0.0, np.nan], [1.0, 1.0]]}, "finite centres"),
    ({"centres": [[0.0, np.inf], [1.0, 1.0]]}, "finite centres"),
    ({"centres": [[0.0, 0.0], [1.0]]}, "expected numbers as centres"),
    ({"centres": [[], []]}, "at least one centre"),
    ({"centres": [0.0, 1.0]}, "centres of one shape"),
    ({"centres": [["a", 0.0], [1.0, 1.0]]}, "expected numbers as centres"),
    ({"weights": [1.0, np.nan]}, "finite weights"),
    ({"weights": [1.0, -1.0]}, "positive weights"),
    ({"weights": [1.0, 0.0]}, "positive weights"),
    ({"weights": [1.0]}, "2 centres of dimension 2 need 2 weights"),
    ({"weights": [[1.0], [1.0]]}, "weights of one shape"),
    ({"covariances": [[1.0, np.nan], [1.0, 1.0]]}, "finite covariances"),
    ({"covariances": [[1.0, -1.0], [1.0, 1.0]]}, "positive variances"),
    ({"covariances": [[0.0, 0.0], [1.0, 1.0]]}, "positive variances"),
    ({"covariances": [[1.0, 1.0]]}, "need 2 weights and covariances, got 2 and 1"),
    ({"covariances": [[1.0], [1.0]]}, r"of shape \(1,\)"),
    ({"covariances": [1.0, 1.0]}, "covariances of one shape"),
    ({"covariances": [[1.0, 1.0], SQUARE]}, "expected numbers as covariances"),
    ({"covariances": [[[1.0, 0.2], [0.3, 1.0]], SQUARE]}, "symmetric covariances"),
    ({"covariances": [[[1.0, 2.0], [2.0, 1.0]], SQUARE]}, "not positive definite"),
    ({"covariances": [[[1.0, 1.0], [1.0, 1.0]], SQUARE]}, "not positive definite"),
    ({"covariances": [[[-1.0, 0.0], [0.0, 1.0]], SQUARE]}, "not positive definite"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_mixture_is_refused(changes, message):
    """By name, with what was expected of which field."""
    good = {"centres": CENTRES, "covariances": [[1.0, 1.0]] * 2, "weights": [1.0, 1.0]}
    values = {key: _ragged(value) for key, value in {**good, **changes}.items()}
    with pytest.raises(UsageError, match=rf"^mixture 'mine': .*{message}"):
        Mixture("mine", **values)


def _ragged(rows):
    """An array of whatever shape the rows have; of objects where they have none."""
    try:
        return np.array(rows)
    except ValueError:
        return np.array(rows, dtype=object)


def _table(**changes):
    table = {
        "name": "mine",
        "centres": CENTRES,
        "covariances": [0.5, 0.5],
        "weights": None,
        "rule": "euclid3",
        "training_points": 1_000,
    }
    return from_table({**table, **changes})


def test_a_table_is_a_mixture():
    """Variances, lists and matrices mean what they say, also side by side."""
    assert _table().covariances.tolist() == [[0.5, 0.5]] * 2
    assert _table(covariances=[0.5, [1.0, 2.0]]).covariances.tolist() == [[0.5, 0.5], [1.0, 2.0]]
    mixed = _table(covariances=[0.5, SQUARE]).covariances.tolist()
    assert mixed == [[[0.5, 0.0], [0.0, 0.5]], SQUARE]
    assert _table(weights=[3.0, 1.0]).weights.tolist() == [0.75, 0.25]
    assert _table(training_points=0).training_points is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "euclid"}, r"unknown rule 'euclid': did you mean 'euclid3'\? .*mine"),
        ({"centres": []}, "mixture 'mine'"),
        ({"centres": [[0.0, 0.0], [1.0]]}, "numbers as centres"),
        ({"covariances": [1.0]}, "need 2 weights"),
        ({"covariances": [[], []]}, "mixture 'mine'"),
        ({"covariances": [[1.0], [1.0, 2.0]]}, "numbers as covariances"),
        ({"covariances": [SQUARE, [[1.0]]]}, "numbers as covariances"),
        ({"weights": [1.0]}, "need 2 weights"),
    ],
)
def test_a_bad_table_is_refused(changes, message):
    """As a usage error that names the mixture."""
    with pytest.raises(UsageError, match=message):
        _table(**changes)

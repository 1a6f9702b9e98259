"""Mixtures against SciPy's densities, and the rules' shares against a million real samples."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.special import erf
from scipy.stats import chi2, multivariate_normal

from bench.core.randomness import stream
from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture
from metrics import RULES, tally, truth

MILLION = 1_000_000

TILTED = Mixture(
    "tilted",
    np.array([[0.0, 0.0], [20.0, 5.0], [-15.0, 20.0]]),
    np.array([[[1.0, 0.8], [0.8, 2.0]], [[0.5, -0.3], [-0.3, 0.4]], [[4.0, 1.0], [1.0, 0.5]]]),
    np.array([5.0, 1.0, 2.0]),
)
OVERLAPPING = Mixture(
    "overlapping",
    np.array([[0.0, 0.0], [2.0, 1.0], [-1.0, 3.0], [9.0, 9.0]]),
    np.array([[[1.0, 0.5], [0.5, 1.0]], *[np.diag([0.3, 0.6])] * 2, np.eye(2)]),
    np.array([3.0, 2.0, 1.0, 4.0]),
)
FLAT = Mixture(
    "flat",
    np.array([[0.0, 0.0, 0.5], [30.0, 0.0, -0.5]]),
    np.array([[1.0, 4.0, 0.0], [1.0, 0.0, 0.25]]),
    np.array([1.0, 2.0]),
)
SOLID = Mixture(
    "solid", np.array([[0.0] * 5, [9.0] * 5]), np.array([[1.0] * 5, [4.0] * 5]), np.ones(2)
)
OWN = {mixture.name: mixture for mixture in (TILTED, OVERLAPPING, FLAT, SOLID)}


def _mixtures():
    found = {entry.name: entry.part for entry in DATASETS.entries()} | OWN
    return {name: part for name, part in found.items() if isinstance(part, Mixture)}


@lru_cache
def _samples(name):
    return _mixtures()[name].sample(MILLION, stream("a million", name)).numpy()


def _scipy_log_prob(mixture, points, extra=0.0):
    """Log density by SciPy, each covariance widened by `extra` in every direction."""
    total = np.zeros(len(points))
    for weight, centre, spread in zip(
        mixture.weights, mixture.centres, mixture.covariances, strict=True
    ):
        covariance = (np.diag(spread) if spread.ndim == 1 else spread) + extra * np.eye(len(centre))
        total += weight * multivariate_normal(centre, covariance).pdf(points)
    return np.log(total)


WITH_DENSITY = [name for name, mixture in _mixtures().items() if not mixture.degenerate]


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_log_densities(name):
    """On real samples and up to four standard deviations around them."""
    mixture = _mixtures()[name]
    samples = mixture.sample(2_000, stream("log density")).double().numpy()
    noise = np.random.default_rng(0).standard_normal(samples.shape)
    points = samples + 4 / np.sqrt(mixture.dim) * mixture.widest.min() * noise
    for where in (samples, points):
        ours = mixture.log_prob(where)
        np.testing.assert_allclose(ours, _scipy_log_prob(mixture, where), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", WITH_DENSITY)
@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_smoothed_log_densities(name, sigma):
    """Smoothing adds the variance of the kernel to each covariance, and changes no weight."""
    mixture = _mixtures()[name]
    smooth = mixture.smoothed(sigma)
    points = smooth.sample(500, stream("smoothed")).double().numpy()
    wanted = _scipy_log_prob(mixture, points, sigma**2)
    np.testing.assert_allclose(smooth.log_prob(points), wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(smooth.weights, mixture.weights)


def test_a_density_far_from_every_mode():
    """The logarithm stays finite where the density itself is zero in float64."""
    far = DATASETS["ring8@pacgan"].part.log_prob(np.array([[1e3, 1e3], [-1e6, 0.0]]))
    assert np.isfinite(far).all()
    assert far[0] == pytest.approx(-0.5 * (2e6 - 2 * np.sqrt(2) * 1e3 + 1) / 1e-4, rel=1e-6)


@pytest.mark.parametrize("name", ["tilted", "overlapping"])
def test_samples_of_full_covariances(name):
    """Means and covariances of each mode's samples are within 5 errors of its own."""
    mixture = _mixtures()[name]
    samples, labels = mixture.sample_labelled(200_000, stream("full"))
    for mode in range(mixture.modes):
        own = samples[labels == mode].double().numpy()
        covariance = mixture.covariances[mode]
        variances = np.diag(covariance)
        assert (
            np.abs(own.mean(axis=0) - mixture.centres[mode]) < 5 * np.sqrt(variances / len(own))
        ).all()
        errors = np.sqrt((np.outer(variances, variances) + covariance**2) / len(own))
        assert (np.abs(np.cov(own.T) - covariance) < 5 * errors).all()


def test_geometry():
    """Spread directions and widest standard deviations, with and without flat directions."""
    assert FLAT.spread_dims.tolist() == [2, 2]
    np.testing.assert_allclose(FLAT.widest, [2.0, 1.0])
    assert TILTED.spread_dims.tolist() == [2, 2, 2]
    widest = [np.linalg.norm(covariance, 2) ** 0.5 for covariance in TILTED.covariances]
    np.testing.assert_allclose(TILTED.widest, widest)


@pytest.mark.parametrize("name", ["tilted", "overlapping", "solid"])
def test_standardised_deviations(name):
    """Their squared length is the squared Mahalanobis distance."""
    mixture = _mixtures()[name]
    points = mixture.sample(100, stream("deviations")).double().numpy()
    for mode in range(mixture.modes):
        z = mixture.standardised(mode, np.ascontiguousarray(points.T))
        spread = mixture.covariances[mode]
        precision = np.linalg.inv(np.diag(spread) if spread.ndim == 1 else spread)
        away = points - mixture.centres[mode]
        wanted = np.einsum("ni,ij,nj->n", away, precision, away)
        np.testing.assert_allclose((z**2).sum(axis=0), wanted, rtol=1e-9)


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize(
    "name", ["ring8@pacgan", "grid25@pacgan", "tilted", "overlapping", "flat", "solid"]
)
def test_the_share_of_real_samples(name, rule):
    """Of a million real samples each mode holds its share, and the rest lies off the manifold."""
    mixture = _mixtures()[name]
    real, counts = truth(mixture, rule), tally(mixture, _samples(name), rule)
    wanted = np.append(real.shares, real.off_manifold)
    found = np.append(counts.high_quality, MILLION - counts.high_quality.sum()) / MILLION
    drawn = 2 if name == "overlapping" else 1  # where shares are themselves counted on draws
    errors = np.sqrt(drawn * wanted * (1 - wanted) / MILLION)
    assert (np.abs(found - wanted) <= 4 * errors + 1e-6).all()


@pytest.mark.parametrize("dims", [1, 2, 3, 10])
def test_tails(dims):
    """The probability outside each bar is that of a chi-square, or of a box of normals."""
    tails = {name: RULES[name].part.tail(dims) for name in RULES}
    assert tails["euclid3"] == pytest.approx(chi2.sf(9, dims), rel=1e-9)
    assert tails["pacgan"] == tails["euclid3"]
    assert tails["rms"] == pytest.approx(chi2.sf(9 * dims, dims), rel=1e-9)
    assert tails["box3"] == pytest.approx(1 - erf(3 / np.sqrt(2)) ** dims, rel=1e-9)
    assert tails["veegan"] == pytest.approx(chi2.sf(9 if dims <= 2 else 100, dims), rel=1e-9)


def test_tails_in_the_plane():
    """The two figures that the literature's shares are read against."""
    assert RULES["euclid3"].part.tail(2) == pytest.approx(0.0111090, abs=5e-8)
    assert RULES["box3"].part.tail(2) == pytest.approx(0.0053923, abs=5e-8)


def test_the_published_bar_in_many_dimensions_refuses_real_data():
    """hd10: no real sample lies within 10 standard deviations, every one within the rms."""
    mixture = DATASETS["hd10@veegan"].part
    samples = mixture.sample(1_000, stream("hd10")).numpy()
    assert tally(mixture, samples, "veegan").high_quality.sum() == 0
    assert tally(mixture, samples, "rms").high_quality.sum() == 1_000

"""Divergences of known densities against closed forms, and likelihoods against SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from bench.core.randomness import stream
from bench.datasets.mixtures import Mixture
from generative.recipes.gaussians import GaussianMixtureSampler
from metrics import METRICS

DENSITY = METRICS["reverse_kl_density"].part
SMOOTHED = METRICS["reverse_kl_smoothed"].part
N = 20_000
BIAS = {1: 0.01, 2: 0.01, 4: 0.06}
"""By dimension: distances to neighbours see less of the tails, the more dimensions there are."""


def _gaussian(mean, variances):
    return Mixture("one", np.array([mean]), np.array([variances]), np.ones(1))


def _kl(mean, variances, widened=0.0):
    """KL(N(mean, variances) || N(0, I)) after both were convolved with N(0, widened I)."""
    ratio = (np.array(variances) + widened) / (1 + widened)
    return (ratio - 1 - np.log(ratio) + np.array(mean) ** 2 / (1 + widened)).sum() / 2


CASES = [
    ([0.0, 0.0], [1.0, 1.0]),
    ([0.3, -0.2], [1.0, 1.0]),
    ([2.0, 0.0], [1.0, 1.0]),
    ([0.0, 0.0], [0.25, 0.25]),
    ([1.0, -1.0], [2.0, 0.5]),
    ([0.5], [1.0]),
    ([0.5, 0.0, 0.0, -0.5], [1.0, 1.0, 0.5, 1.0]),
]


@pytest.mark.parametrize(("mean", "variances"), CASES)
def test_the_divergence_of_two_gaussians(mean, variances):
    """From samples of one and the density of the other: the closed form, and how sure it is."""
    real = _gaussian([0.0] * len(mean), [1.0] * len(mean))
    fake = _gaussian(mean, variances).sample(N, stream("gaussians")).numpy()
    score = DENSITY(real, fake)
    slack = 4 * score.std_error + BIAS[len(mean)]
    assert score.value == pytest.approx(_kl(mean, variances), abs=slack)
    assert score.std_error < 0.03
    assert score.n == N


@pytest.mark.parametrize(("mean", "variances"), CASES)
@pytest.mark.parametrize("sigma", [1.0, 0.05])
def test_the_smoothed_divergence_of_two_gaussians(mean, variances, sigma):
    """Both sides widened by the variance 0.01: it matters where the modes are narrow."""
    real = _gaussian([0.0] * len(mean), [sigma**2] * len(mean))
    away, spread = [sigma * m for m in mean], [sigma**2 * v for v in variances]
    fake = _gaussian(away, spread).sample(N, stream("smoothed")).numpy()
    score = SMOOTHED(real, fake)
    wanted = _kl(mean, variances, 0.01 / sigma**2)
    assert score.value == pytest.approx(wanted, abs=4 * score.std_error + BIAS[len(mean)])


def test_the_divergence_of_a_collapsed_sampler():
    """One of eight narrow modes: the logarithm of eight, smoothed or not."""
    angles = 2 * np.pi * np.arange(8) / 8
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    real = Mixture("ring", centres, np.full((8, 2), 1e-4), np.ones(8))
    one = _gaussian(centres[0].tolist(), [1e-4, 1e-4]).sample(N, stream("one")).numpy()
    assert DENSITY(real, one).value == pytest.approx(np.log(8), abs=0.05)
    assert SMOOTHED(real, one).value == pytest.approx(np.log(8), abs=0.05)


def test_smoothing_forgives_samples_near_a_mode():
    """One sample in a hundred between the modes: dear without smoothing, cheap with it."""
    real = Mixture("two", np.array([[0.0, 0.0], [2.0, 0.0]]), np.full((2, 2), 1e-4), np.ones(2))
    perfect = real.sample(N, stream("perfect")).numpy()
    between = perfect.copy()
    between[::100] = [0.3, 0.0]
    assert DENSITY(real, between).value > 4
    assert SMOOTHED(real, between).value < 0.1


def test_a_sampler_that_repeats_points_scores_a_large_finite_value():
    """Repeated once each or all the same."""
    real = _gaussian([0.0, 0.0], [1.0, 1.0])
    point = np.full((1_000, 2), 0.5, dtype=np.float32)
    few = np.repeat(real.sample(20, stream("few")).numpy(), 50, axis=0)
    for fake in (point, few):
        assert 5 < DENSITY(real, fake).value < 100
        assert np.isfinite(SMOOTHED(real, fake).value)
    assert np.isfinite(DENSITY(real, np.zeros((1_000, 2))).value)


@pytest.mark.parametrize("metric", [DENSITY, SMOOTHED])
def test_too_few_samples_are_refused(metric):
    """The fifth neighbour needs a sixth sample."""
    with pytest.raises(ValueError, match="expected more than 5 samples, got 5"):
        metric(_gaussian([0.0], [1.0]), np.arange(5.0)[:, None])


WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 2.0]])
COVARIANCES = np.array([[[1.0, 0.5], [0.5, 2.0]], [[0.2, 0.0], [0.0, 0.4]], [[2.0, -1], [-1, 1.0]]])


def _mixture():
    return Mixture("three", MEANS, COVARIANCES, WEIGHTS)


def _model():
    return GaussianMixtureSampler(*map(torch.as_tensor, (WEIGHTS, MEANS, COVARIANCES)))


@pytest.mark.parametrize("model", [_mixture(), _model()], ids=["mixture", "model"])
def test_the_held_out_log_likelihood(model):
    """Mean and standard error of SciPy's log densities."""
    real = np.random.default_rng(0).normal(size=(1_000, 2)) * 2
    parts = zip(WEIGHTS, MEANS, COVARIANCES, strict=True)
    values = np.log(sum(w * multivariate_normal(m, c).pdf(real) for w, m, c in parts))
    score = METRICS["log_likelihood"].part(real, model)
    assert score.value == pytest.approx(values.mean(), rel=1e-10)
    assert score.std_error == pytest.approx(values.std(ddof=1) / np.sqrt(1_000), rel=1e-9)
    assert score.n == 1_000


def test_a_fitted_mixture_draws_what_it_says():
    """Its samples have the moments of the whole mixture, within 5 errors."""
    samples = _model().sample(N, stream("draws")).double().numpy()
    mean = WEIGHTS @ MEANS
    away = MEANS - mean
    covariance = np.einsum("k,kij->ij", WEIGHTS, COVARIANCES + away[:, :, None] * away[:, None])
    error = np.sqrt(np.diag(covariance) / N)
    assert (np.abs(samples.mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.15)

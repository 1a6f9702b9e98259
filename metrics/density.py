"""Reverse KL against a known density: E_q[log q - log p], with log q from neighbour distances."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree
from scipy.special import digamma, gammaln

from bench.core.randomness import stream
from metrics.contracts import METRICS, Density, PerPoint, Points, Score, SmoothableDensity

NEIGHBOURS = 5
SMOOTHING = 0.1
RESOLUTION = float(np.finfo(np.float32).eps)


@METRICS.register(
    "reverse_kl_density",
    takes="density",
    direction="lower",
    title="KL density",
    absolute=0.1,
    relative=0.1,
    digits=2,
    estimator="mean of log q - log p over the samples; log q by Kozachenko and Leonenko with the "
    "5th neighbour, self excluded; distances below the resolution of float32 count as that, so "
    "that a sampler that repeats points gets a large finite value",
)
def reverse_kl_density(real: Density, fake: Points) -> Score:
    """KL(fake || real) in nats. On narrow modes it punishes samples between them harshly."""
    points = np.asarray(fake, dtype=np.float64)
    terms = _log_density(points) - real.log_prob(points)
    return Score(float(terms.mean()), float(terms.std(ddof=1) / np.sqrt(len(terms))), len(terms))


@METRICS.register(
    "reverse_kl_smoothed",
    takes="density",
    direction="lower",
    title="KL smoothed",
    absolute=0.02,
    relative=0.1,
    digits=2,
    estimator="as reverse_kl_density, after both sides were convolved with N(0, 0.1^2)",
    exempt="order-does-not-matter: it adds noise of its own to each sample",
)
def reverse_kl_smoothed(real: SmoothableDensity, fake: Points) -> Score:
    """KL(fake || real) after both sides were blurred: it forgives samples near a mode."""
    rng = np.random.default_rng(stream("reverse_kl_smoothed").initial_seed())
    blurred = np.asarray(fake, dtype=np.float64) + SMOOTHING * rng.standard_normal(fake.shape)
    return reverse_kl_density(real.smoothed(SMOOTHING), blurred)


def _log_density(points: Points) -> PerPoint:
    """Log density at each of the points that they were drawn from, [n, d] to [n]."""
    n, dim = points.shape
    if n <= NEIGHBOURS:
        raise ValueError(f"expected more than {NEIGHBOURS} samples, got {n}")
    distances = KDTree(points).query(points, k=NEIGHBOURS + 1)[0][:, -1]
    scale = RESOLUTION * max(float(np.abs(points).max()), RESOLUTION)
    ball = dim / 2 * np.log(np.pi) - gammaln(dim / 2 + 1)
    log_volume = ball + dim * np.log(np.maximum(distances, scale))
    return digamma(NEIGHBOURS) - digamma(n) - log_volume

"""Held-out log-likelihood, of models that have a density."""

from __future__ import annotations

from metrics.contracts import METRICS, Density, Points, Score
from metrics.shares import mean_score


@METRICS.register(
    "log_likelihood",
    takes="likelihood",
    direction="higher",
    title="held-out log-likelihood",
    absolute=0.02,
    digits=3,
    estimator="mean log density of fresh real samples under the model, in nats",
)
def log_likelihood(real: Points, fake: Density) -> Score:
    """Mean log density of held-out real samples [n, d], in nats per sample."""
    return mean_score(fake.log_prob(real))

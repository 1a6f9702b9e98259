"""Bounds on the likelihood of models with latent variables, on held-out examples."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from metrics.contracts import METRICS, PerPoint, Score
from metrics.shares import mean_score

IMPORTANCE_SAMPLES = 200
IMPORTANCE_EXAMPLES = 200

Examples = Shaped[np.ndarray, "n ..."]
"""Held-out examples, points or images."""


@runtime_checkable
class LatentBound(Protocol):
    """A model that bounds its log-likelihood; see `generative.LatentSampler`."""

    def elbo(self, x: Examples) -> tuple[PerPoint, PerPoint]: ...
    def importance_log_prob(self, x: Examples, samples: int) -> PerPoint: ...


@METRICS.register(
    "elbo",
    paper="arXiv:1312.6114",
    takes="latent",
    direction="higher",
    title="ELBO",
    absolute=0.02,
    relative=0.01,
    digits=2,
    estimator="mean over held-out examples of the evidence lower bound, one draw of z for each, "
    "in nats",
)
def elbo(real: Examples, fake: LatentBound) -> Score:
    """Expected log-likelihood minus divergence, in nats an example."""
    expected, divergence = fake.elbo(real)
    return mean_score(expected - divergence)


@METRICS.register(
    "elbo_reconstruction",
    paper="arXiv:1312.6114",
    takes="latent",
    direction="none",
    title="E log p(x|z)",
    digits=2,
    estimator="the first term of the bound: mean log-likelihood of held-out examples given z",
)
def elbo_reconstruction(real: Examples, fake: LatentBound) -> Score:
    """Expected log-likelihood of an example given its code, in nats."""
    return mean_score(fake.elbo(real)[0])


@METRICS.register(
    "elbo_divergence",
    paper="arXiv:1312.6114",
    takes="latent",
    direction="none",
    title="KL(q(z|x)||p(z))",
    low=0,
    digits=2,
    estimator="the second term of the bound, in closed form: mean over held-out examples",
)
def elbo_divergence(real: Examples, fake: LatentBound) -> Score:
    """Divergence of the codes' posterior from the prior, in nats."""
    return mean_score(fake.elbo(real)[1])


@METRICS.register(
    "log_likelihood_importance",
    paper="arXiv:1509.00519",
    takes="latent",
    direction="higher",
    title="log-likelihood (importance)",
    absolute=0.02,
    relative=0.01,
    digits=2,
    estimator="mean over the first 200 held-out examples of the log of the mean importance weight "
    "of 200 draws of z from q(z|x): a lower bound in expectation, tighter than the ELBO",
)
def log_likelihood_importance(real: Examples, fake: LatentBound) -> Score:
    """Importance-sampled log-likelihood (Burda et al. 2016, equation 8), in nats an example."""
    return mean_score(fake.importance_log_prob(real[:IMPORTANCE_EXAMPLES], IMPORTANCE_SAMPLES))

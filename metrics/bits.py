"""How many bits an image takes under a model, a pixel."""

from __future__ import annotations

from math import log

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, PerPoint, Score
from metrics.shares import mean_score


@METRICS.register(
    "bits_per_dim",
    paper="arXiv:1511.01844",
    takes="masses",
    direction="lower",
    title="bits/dim",
    low=0,
    absolute=0.01,
    digits=3,
    estimator="mean over held-out images of minus the base-2 logarithm of their probability, over "
    "the values of an image; of dequantised pixels by one draw of noise each, a bound from above",
)
def bits_per_dim(real: Float[np.ndarray, "n c h w"], fake: PerPoint) -> Score:
    """Of images and the log probability, in nats, that a model has of each."""
    return mean_score(-np.asarray(fake) / (real[0].size * log(2)))

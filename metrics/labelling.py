"""Classes that a model which was told few of them reads in held-out examples."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from metrics.contracts import METRICS, Score
from metrics.shares import share_error

Labels = Int[np.ndarray, " n"]


@METRICS.register(
    "test_error",
    takes="labelled",
    direction="lower",
    title="test error",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    estimator="share of held-out examples whose likeliest class, by the model itself, is not their "
    "own; binomial standard error",
)
def test_error(real: Labels, fake: Labels) -> Score:
    """True classes, and those that were said."""
    share = float((real != fake).mean())
    return Score(share, share_error(share, len(real)), len(real))

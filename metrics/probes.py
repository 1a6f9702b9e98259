"""Labels read off features."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from metrics.contracts import METRICS, Score
from metrics.shares import share_error

Labels = Int[np.ndarray, " n"]


@METRICS.register(
    "probe_accuracy",
    paper="doi:10.1145/1390156.1390294",
    takes="probed",
    direction="higher",
    title="probe accuracy",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    estimator="share of held-out images whose class a linear classifier of their features gets "
    "right",
)
def probe_accuracy(real: Labels, fake: Labels) -> Score:
    """True classes, and those that were read."""
    share = float((real == fake).mean())
    return Score(share, share_error(share, len(real)), len(real))

"""What a sample costs where nothing can be computed side by side."""

from __future__ import annotations

from metrics.contracts import METRICS, Score


@METRICS.register(
    "passes",
    takes="sampled",
    direction="lower",
    title="passes",
    low=0,
    digits=0,
    estimator="passes of a model's network, one after another, for a sample",
)
def passes(real: None, fake: int) -> Score:
    """As the model says."""
    return Score(float(fake), None, 1)

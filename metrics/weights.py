"""How large a model is."""

from __future__ import annotations

from metrics.contracts import METRICS, Score


@METRICS.register(
    "weights",
    takes="kept",
    direction="none",
    title="numbers kept",
    low=0,
    kind="deterministic",
    digits=0,
    estimator="numbers in all tensors that restore a model: weights of every player, critics too, "
    "and what batch norm keeps",
)
def weights(real: None, fake: int) -> Score:
    """As many as are kept."""
    return Score(float(fake), None, 1)

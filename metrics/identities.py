"""Samples that are the same: as one another, and as real ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped

from metrics.contracts import METRICS, Score
from metrics.shares import share_error

Identities = Shaped[np.ndarray, " n"]
Others = Shaped[np.ndarray, " m"]
"""A number for each sample, equal where the samples are."""


@METRICS.register(
    "duplicates",
    takes="identities",
    direction="lower",
    title="duplicates",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    kind="deterministic",
    estimator="share of samples that an earlier one is the same as, value for value",
    exempt=(
        "fresh-samples-are-better: it asks which are equal, not where",
        "the-smaller-collapse-is-better: as above",
    ),
)
def duplicates(real: Others, fake: Identities) -> Score:
    """Samples that add nothing to the others."""
    return Score(1 - len(np.unique(fake)) / len(fake), None, len(fake))


@METRICS.register(
    "exact_copies",
    takes="identities",
    direction="lower",
    title="exact copies",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    estimator="share of samples that are the same as a reference one, value for value; standard "
    "error binomial",
    exempt=(
        "fresh-samples-are-better: it asks which are equal, not where",
        "the-smaller-collapse-is-better: as above",
    ),
)
def exact_copies(real: Others, fake: Identities) -> Score:
    """Samples that the reference holds."""
    value, n = float(np.isin(fake, real).mean()), len(fake)
    return Score(value, share_error(value, n), n)

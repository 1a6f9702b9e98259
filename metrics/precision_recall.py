"""Improved precision and recall: are the samples real, and are the real ones among them?"""

from __future__ import annotations

from math import sqrt

import numpy as np

from metrics.contracts import METRICS, Score
from metrics.neighbours import Covered, Landed


@METRICS.register(
    "precision",
    paper="arXiv:1904.06991",
    takes="neighbours",
    direction="higher",
    title="precision",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of samples within the distance of a real one to its 3rd nearest other real "
    "one; on the sphere is outside; standard error binomial, the reals taken as given",
)
def precision(real: Covered, fake: Landed) -> Score:
    """Samples on the manifold of the reals."""
    return share(fake.in_a_ball)


@METRICS.register(
    "recall",
    paper="arXiv:1904.06991",
    takes="neighbours",
    direction="higher",
    title="recall",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of real samples within the distance of a fake one to its 3rd nearest other "
    "fake one; on the sphere is outside; standard error binomial, the fakes taken as given",
)
def recall(real: Covered, fake: Landed) -> Score:
    """Reals on the manifold of the samples."""
    return share(real.in_a_ball)


def share(hits: np.ndarray) -> Score:
    """How many of all, with the binomial error."""
    value = float(hits.mean())
    return Score(value, sqrt(value * (1 - value) / len(hits)), len(hits))

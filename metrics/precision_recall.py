"""Improved precision and recall: are the samples real, and are the real ones among them?"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from metrics.contracts import METRICS, Score
from metrics.neighbours import Covered, Landed
from metrics.shares import share_error


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
    "one; on the sphere is outside; standard error from the spread over ten disjoint parts of both "
    "sets, binomial below 200 samples and at least",
    exempt=(
        "fresh-samples-are-better[half,one]: each is asked whether it is real",
        "the-smaller-collapse-is-better: as above",
    ),
)
def precision(real: Covered, fake: Landed) -> Score:
    """Samples on the manifold of the reals."""
    return share(fake.in_a_ball, [part.in_a_ball for part in fake.parts])


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
    "fake one; on the sphere is outside; standard error as of precision",
    exempt="fresh-samples-are-better[noisy,invented]: only reals are asked",
)
def recall(real: Covered, fake: Landed) -> Score:
    """Reals on the manifold of the samples."""
    return share(real.in_a_ball, [part.in_a_ball for part in real.parts])


def share(hits: np.ndarray, parts: Sequence[np.ndarray]) -> Score:
    """How many of all; its error from the spread over parts, binomial at least."""
    value, n = float(hits.mean()), len(hits)
    return Score(value, max(share_error(value, n), spread([p.mean() for p in parts])), n)


def spread(values: Sequence[float]) -> float:
    """The standard error of a mean of parts; 0 where there are none."""
    return float(np.std(values, ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0

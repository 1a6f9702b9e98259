"""The Inception score: sure of each sample, and of many classes in all. It never sees real data."""

from __future__ import annotations

from itertools import pairwise
from math import exp, sqrt

import numpy as np
from jaxtyping import Float
from scipy.special import rel_entr

from bench.core.errors import UsageError
from metrics.contracts import METRICS, PerPoint, Score

SPLITS = 10

Probabilities = Float[np.ndarray, "n classes"]


@METRICS.register(
    "inception_score",
    paper="arXiv:1606.03498",
    takes="probabilities",
    direction="higher",
    title="IS (1 split)",
    low=1,
    relative=0.02,
    digits=2,
    estimator="exp of the mean KL(p(y|x) || p(y)), all samples in one split, p(y) their mean: "
    "higher than over ten splits; standard error of its first-order term",
    exempt="fresh-samples-are-better[shifted]: it never sees a real sample",
)
def inception_score(real: None, fake: Probabilities) -> Score:
    """The score of all samples together."""
    terms = divergences(fake)
    value = exp(terms.mean())
    error = value * float(terms.std(ddof=1)) / sqrt(len(terms)) if len(terms) > 1 else None
    return Score(value, error, len(terms))


@METRICS.register(
    "inception_score_10",
    paper="arXiv:1606.03498",
    takes="probabilities",
    direction="higher",
    title="IS (10 splits)",
    low=1,
    relative=0.02,
    digits=2,
    estimator=f"mean over {SPLITS} contiguous splits, as the published rows have it; of samples in "
    "the order of their content, so that no order of files matters; standard error: the splits' "
    "standard deviation (n - 1) over the root of 10, where papers print that deviation (n)",
    exempt=(
        "fresh-samples-are-better[shifted]: it never sees a real sample",
        "the-order-does-not-matter: ten splits by place",
    ),
)
def inception_score_10(real: None, fake: Probabilities) -> Score:
    """The mean score of ten splits. Raises UsageError for fewer samples than splits."""
    scores = split_scores(fake, SPLITS)
    return Score(float(scores.mean()), float(scores.std(ddof=1)) / sqrt(SPLITS), len(fake))


def split_scores(probabilities: Probabilities, splits: int) -> Float[np.ndarray, " parts"]:
    """The score of each of `splits` contiguous parts, the sizes as even as they can be."""
    if len(probabilities) < splits:
        raise UsageError(f"{splits} splits need {splits} samples, got {len(probabilities)}")
    cuts = [len(probabilities) * i // splits for i in range(splits + 1)]
    parts = [probabilities[a:b] for a, b in pairwise(cuts)]
    return np.array([exp(divergences(part).mean()) for part in parts])


def divergences(probabilities: Probabilities) -> PerPoint:
    """KL(p(y|x) || p(y)) of each sample, in nats. Raises UsageError where rows are no
    probabilities.
    """
    exact = np.asarray(probabilities, dtype=np.float64)
    sums = exact.sum(1) if exact.ndim == 2 else np.zeros(1)
    sums_to_one = len(exact) > 0 and np.abs(sums - 1).max() <= 1e-3
    if exact.ndim != 2 or not sums_to_one or not (exact >= 0).all():
        raise UsageError("expected class probabilities [n, classes], rows that sum to 1")
    return rel_entr(exact, exact.mean(0)).sum(1)

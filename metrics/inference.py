"""Inferred codes: whether an encoder undoes its generator, and what lies near to what."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from metrics.contracts import METRICS, Score
from metrics.neighbours import parts, squared_distances
from metrics.shares import ratio_score, share_error

Codes = Float[np.ndarray, "n latent"]
OtherCodes = Float[np.ndarray, "m latent"]
Labels = Int[np.ndarray, " n"]
OtherLabels = Int[np.ndarray, " m"]


@METRICS.register(
    "code_error_share",
    paper="arXiv:1605.09782",
    takes="recoded",
    direction="lower",
    title="code error share",
    low=0,
    relative=0.03,
    digits=3,
    estimator="the summed squared distances of drawn codes z to E(G(z)), over those to their own "
    "mean; its standard error is that of a ratio of means",
)
def code_error_share(real: Codes, fake: Codes) -> Score:
    """What is lost of a code by way of its example; 1 for an encoder that always says the mean."""
    exact = real.astype(np.float64)
    lost = np.square(exact - fake).sum(1)
    return ratio_score(lost, np.square(exact - exact.mean(0)).sum(1))


@METRICS.register(
    "neighbour_accuracy",
    paper="arXiv:1605.09782",
    takes="nearby",
    direction="higher",
    title="1NN accuracy",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    estimator="share of held-out images of the class of the training image whose code is nearest, "
    "by Euclidean distance",
)
def neighbour_accuracy(real: Labels, fake: Labels) -> Score:
    """True classes, and those of the nearest."""
    share = float((real == fake).mean())
    return Score(share, share_error(share, len(real)), len(real))


def nearest_labels(known: Codes, labels: Labels, asked: OtherCodes) -> OtherLabels:
    """The labels of the known codes that lie nearest to others, [m]; of several as near, those of
    the first.
    """
    origin = known.mean(0)
    a, b = known.astype(np.float64) - origin, asked.astype(np.float64) - origin
    found = np.empty(len(b), labels.dtype)
    for part in parts(len(b), len(a)):
        found[part] = labels[squared_distances(b[part], a).argmin(1)]
    return found

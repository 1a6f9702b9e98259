"""The classifier two-sample test: how well fresh samples are told from fresh real ones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from metrics.contracts import METRICS, Score
from metrics.features import Features, refuse_dims
from metrics.shares import share_error

MOST = 10_000
LEAST = 40
BATCH, UPDATES, LEAST_EPOCHS, MOST_EPOCHS = 200, 1_000, 20, 500
HIDDEN = 20
"""Units of the network, as Lopez-Paz and Oquab have."""


@METRICS.register(
    "c2st",
    paper="arXiv:1610.06545",
    takes="features",
    direction="lower",
    title="C2ST accuracy",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator=f"held-out accuracy of a network of {HIDDEN} hidden units on standardised features, "
    f"trained by Adam in about {UPDATES:,} steps on one half of both sets and tested on the "
    f"other, as many of each, {MOST:,} at most: 50 % where it can't tell them apart. The reals "
    "must be new to the sampler on both sides, or a memoriser looks perfect; standard error "
    "binomial",
    exempt=(
        "the-order-does-not-matter: trained on one half, tested on the other",
        "similarities-change-the-unit-only[turned]: it standardises coordinates",
    ),
)
def c2st(real: Features, fake: Features) -> Score:
    """The accuracy of telling samples from reals. Raises UsageError for fewer than 40 of either."""
    from sklearn.neural_network import MLPClassifier

    refuse_dims(real, fake)
    n = min(real.n, fake.n, MOST) // 2 * 2
    if n < LEAST:
        raise UsageError(f"it needs {LEAST} samples of each, got {real.n} and {fake.n}")
    x = np.concatenate([real.exact[:n], fake.exact[:n]])
    y = np.repeat([0, 1], n)
    learnt = np.tile(np.arange(n) < n // 2, 2)
    spread = x[learnt].std(0)
    x = ((x - x[learnt].mean(0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, UPDATES * BATCH // n))
    network = MLPClassifier((HIDDEN,), max_iter=epochs, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.fit(x[learnt], y[learnt])
    guessed: Any = network.predict(x[~learnt])
    right = guessed == y[~learnt]
    value = float(right.mean())
    return Score(value, share_error(value, len(right)), len(right))

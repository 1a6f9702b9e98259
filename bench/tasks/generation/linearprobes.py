"""Linear classifiers of features, regularised as a part of the labelled examples says."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

Probe = Literal["logistic", "svm"]
Features = Float[np.ndarray, "n d"]
Labels = Int[np.ndarray, " n"]

COSTS = (1.0, 10.0, 100.0)
"""scikit-learn's C, for features of mean length 1 about their mean."""
ASIDE = 5
"""One labelled example in so many, the last, chooses between them."""


def _made(probe: Probe, cost: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    if probe == "logistic":
        return LogisticRegression(C=cost, max_iter=5_000)
    primal: Any = False
    return LinearSVC(C=cost, dual=primal, max_iter=5_000)


def units_of(features: Features) -> Callable[[Features], Features]:
    """Features less the mean of these, over the root mean square of their length."""
    mean = features.mean(0)
    length = sqrt(float(np.square(features - mean).sum(1).mean())) or 1.0
    return lambda x: (x - mean) / length


def probed(probe: Probe, features: Features, labels: Labels, held: Features) -> Labels:
    """The classes that a linear classifier, trained on labelled features, reads in others.

    probe: multinomial logistic regression, or one linear support vector machine for each class
    against the rest. The units are those of the labelled features.
    """
    units = units_of(features)
    own, aside = units(features), len(labels) // ASIDE
    learned, chosen = slice(0, len(labels) - aside), slice(len(labels) - aside, None)
    if len(np.unique(labels[learned])) < 2:
        raise ValueError("expected labelled examples of two classes at least")
    shares = [
        _made(probe, cost).fit(own[learned], labels[learned]).score(own[chosen], labels[chosen])
        for cost in COSTS
    ]
    best = COSTS[int(np.argmax(shares))]
    return np.asarray(_made(probe, best).fit(own, labels).predict(units(held)))

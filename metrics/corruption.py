"""What a classifier makes of corrupted images: noise, blur and weather that no search chose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from metrics.contracts import METRICS, Score
from metrics.robustness import SHARE, Clean, mean


@dataclass(frozen=True, eq=False)
class Corrupted:
    """wrong: which images are misclassified at each severity, those that were wrong before too."""

    wrong: Bool[np.ndarray, "n severities"]


@METRICS.register(
    "corruption_error",
    paper="arXiv:1903.12261",
    direction="lower",
    title="corruption error",
    estimator="share of all images that are misclassified when they are corrupted, the mean over "
    "the severities; its standard error is over images",
    **{**SHARE, "takes": "corrupted"},
)
def corruption_error(real: Clean, fake: Corrupted) -> Score:
    """The error under a corruption (Hendrycks and Dietterich 2019, section 4.1, before it is
    divided by another network's).
    """
    return mean(fake.wrong.mean(1))

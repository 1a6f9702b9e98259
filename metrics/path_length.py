"""How far features move on the way between two codes (Karras et al. 2019, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, Score
from metrics.shares import mean_score

TRIMMED = (1, 99)
PAPER = {"paper": "arXiv:1812.04948", "takes": "paths", "direction": "lower", "low": 0}
HOW = (
    "squared distance of features of two images `step` apart on the way, over step^2; mean of what "
    "lies between the 1st and 99th percentile, as in the authors' code"
)


@dataclass(frozen=True, eq=False)
class Paths:
    """Features of the two ends of n short stretches of ways between codes, each `step` of a whole
    way long.
    """

    first: Float[np.ndarray, "n d"]
    second: Float[np.ndarray, "n d"]
    step: float

    @property
    def lengths(self) -> Float[np.ndarray, " n"]:
        """Squared distances over squared steps."""
        moved = self.second.astype(np.float64) - self.first.astype(np.float64)
        return (moved**2).sum(1) / self.step**2


@METRICS.register(
    "path_length",
    title="path length",
    digits=1,
    relative=0.1,
    estimator=f"codes drawn from the prior, great circles between them: {HOW}",
    **PAPER,
)
def path_length(real: None, fake: Paths) -> Score:
    """Mean over ways between codes."""
    return trimmed(fake)


@METRICS.register(
    "style_path_length",
    title="path length of styles",
    digits=1,
    relative=0.1,
    estimator=f"styles of codes drawn from the prior, straight ways between them: {HOW}",
    **PAPER,
)
def style_path_length(real: None, fake: Paths) -> Score:
    """Mean over ways between styles."""
    return trimmed(fake)


def trimmed(paths: Paths) -> Score:
    """Mean of the lengths that are no less than the 1st percentile and no more than the 99th, which
    are lengths themselves.
    """
    found = paths.lengths
    low = np.percentile(found, TRIMMED[0], method="lower")
    high = np.percentile(found, TRIMMED[1], method="higher")
    return mean_score(found[(found >= low) & (found <= high)])

"""Groups of images by their classes: do those that excite a unit most show one thing?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from metrics.contracts import METRICS, Score
from metrics.robustness import mean

PAPER = "arXiv:1312.6199"


@dataclass(frozen=True, eq=False)
class Groups:
    """labels: the classes of the images of each group, as many in each."""

    labels: Int[np.ndarray, "groups size"]

    @property
    def alike(self) -> Float[np.ndarray, "groups size"]:
        """Of each image the share of its group that has its class."""
        equal = self.labels[:, :, None] == self.labels[:, None, :]
        return equal.mean(axis=2)


OF_GROUPS = {"paper": PAPER, "takes": "groups", "direction": "none", "kind": "seeded", "low": 0}


@METRICS.register(
    "class_purity",
    title="purity",
    high=1,
    percent=True,
    shares=False,
    digits=1,
    absolute=0.02,
    estimator="mean over groups of the share of the commonest class; standard error over groups",
    **OF_GROUPS,
)
def class_purity(real: None, fake: Groups) -> Score:
    """How far a group is of one class; the paper shows such groups and scores none."""
    return mean(fake.alike.max(axis=1, initial=0))


@METRICS.register(
    "class_entropy",
    title="entropy",
    digits=2,
    absolute=0.05,
    estimator="mean over groups of the entropy of the shares of classes in it, in nats, as they "
    "are (no correction for few images); standard error over groups",
    **OF_GROUPS,
)
def class_entropy(real: None, fake: Groups) -> Score:
    """How many things a group shows: 0 for one class, log(k) for k classes as often."""
    return mean(-np.log(fake.alike).mean(axis=1) + 0.0)

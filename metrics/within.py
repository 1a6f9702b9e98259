"""Inside a class: whether what was asked for comes in as many kinds as the real images of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float, Int

from bench.core.errors import UsageError
from metrics.contracts import METRICS, Score
from metrics.neighbours import MANIFOLD_K, radii, squared_distances

LEAST = MANIFOLD_K + 1


@dataclass(frozen=True, eq=False)
class Grouped:
    """Features of n images, and the class of each: of real ones their own, of samples the one that
    was asked for.
    """

    features: Float[np.ndarray, "n d"]
    labels: Int[np.ndarray, " n"]

    def of(self, label: int) -> np.ndarray:
        """The features of one class, in float64."""
        return self.features[self.labels == label].astype(np.float64)


def _classes(real: Grouped, fake: Grouped) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reals and samples of every class that the reals have. Raises UsageError for a class with too
    few of either.
    """
    for label in np.unique(real.labels).tolist():
        both = real.of(label), fake.of(label)
        if min(map(len, both)) < LEAST:
            raise UsageError(
                f"class {label} has {len(both[0])} real images and {len(both[1])} samples: "
                f"expected {LEAST} of each at least"
            )
        yield both


def _over_classes(found: list[float], n: int) -> Score:
    """The mean, its standard error over the classes."""
    error = float(np.std(found, ddof=1)) / sqrt(len(found)) if len(found) > 1 else None
    return Score(float(np.mean(found)), error, n)


@METRICS.register(
    "class_recall",
    paper="arXiv:1904.06991",
    takes="within",
    direction="higher",
    title="recall in class",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    shares=False,
    digits=1,
    estimator="improved recall within each class, its mean over the classes: the share of held-out "
    "images of a class within the distance of a sample that was asked to be of it to its 3rd "
    "nearest other such; standard error over classes",
)
def class_recall(real: Grouped, fake: Grouped) -> Score:
    """Held-out images of a class among the samples that were asked to be of it."""
    found = []
    for held, drawn in _classes(real, fake):
        (sizes,) = radii(drawn, (MANIFOLD_K,))
        found.append(float((squared_distances(held, drawn) < sizes).any(1).mean()))
    return _over_classes(found, len(real.labels))


@METRICS.register(
    "class_diversity",
    takes="within",
    direction="none",
    title="diversity in class",
    low=0,
    absolute=0.02,
    estimator="mean Euclidean distance of two samples that were asked to be of one class over that "
    "of two held-out images of it, its mean over the classes; standard error over classes. 1 is as "
    "diverse as the data, 0 one image for each class; above 1 a class holds images of others, too",
)
def class_diversity(real: Grouped, fake: Grouped) -> Score:
    """How far apart the samples of a class are, over its real images."""
    pairs = [(_spread(drawn), _spread(held)) for held, drawn in _classes(real, fake)]
    if any(held == 0 for _, held in pairs):
        raise UsageError("the real images of a class are all the same: expected several")
    return _over_classes([drawn / held for drawn, held in pairs], len(fake.labels))


def _spread(points: np.ndarray) -> float:
    """The mean distance of two different ones."""
    n = len(points)
    squares = squared_distances(points - points[0], points - points[0])
    np.fill_diagonal(squares, 0)
    return float(np.sqrt(squares).sum() / (n * (n - 1)))

"""Copying: are samples nearer to what the sampler has seen than new real ones are?

The three-sample test of Meehan, Chaudhuri and Dasgupta 2020: distances to the nearest training
example, of samples and of held-out reals, compared by ranks in cells of the training set. Where no
training set is given the reference itself is taken for it, and its examples' distances to one
another for the held-out ones'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Int

from bench.core.errors import UsageError
from metrics.contracts import METRICS, OtherPerPoint, OtherPoints, PerPoint, Points, Score
from metrics.features import Apply
from metrics.neighbours import parts, squared_distances
from metrics.shares import share_error

CELLS = 5
LEAST = 20
"""Of either kind, for a cell to count."""
CLOSE = 0.01


@dataclass(frozen=True, eq=False)
class Nearest:
    """Of each example: its distance to the nearest training example, that over the distance to the
    next (of those that differ), and the cell of the nearest.
    """

    distances: PerPoint
    ratios: PerPoint
    cells: Int[np.ndarray, " n"]


@METRICS.register(
    "memorisation",
    paper="arXiv:2004.05675",
    takes="nearest",
    direction="none",
    title="memorisation",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="probability that a sample is nearer to the training set than a new real one is, in "
    f"{CELLS} k-means cells of it, weighted as the reals fall in them: 50 % is ideal, above are "
    "copies, below samples that are off. The paper has z-scores in the place of probabilities; "
    "standard error of the rank statistic (DeLong et al. 1988)",
    exempt="the-order-does-not-matter: k-means begins with examples that it picks by number",
)
def memorisation(real: Nearest, fake: Nearest) -> Score:
    """P(sample nearer than a new real), ties half. Raises UsageError if no cell has 20 of each."""
    found = []
    for cell in np.unique(real.cells):
        held, made = real.distances[real.cells == cell], fake.distances[fake.cells == cell]
        if min(len(held), len(made)) >= LEAST:
            found.append((len(held), *nearer(held, made)))
    if not found:
        raise UsageError(f"it needs {LEAST} samples and {LEAST} new reals in one cell at least")
    weights, values, errors = (np.array(column, float) for column in zip(*found, strict=True))
    weights /= weights.sum()
    value, error = float(weights @ values), sqrt(float(np.square(weights) @ np.square(errors)))
    return Score(value, error, len(fake.distances))


@METRICS.register(
    "copies",
    takes="nearest",
    direction="none",
    title="copies",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of samples that lie nearer to one training example than to the next by a "
    "ratio that 99 % of new reals don't reach (of those that are not the same as one): 1 % is "
    "chance. A ratio, so that samples which keep to dense places are not taken for copies; "
    "standard error binomial, of the bar too",
)
def copies(real: Nearest, fake: Nearest) -> Score:
    """Samples that one example alone explains. Raises UsageError where every real one is a copy."""
    distinct = real.ratios[real.distances > 0]
    if not len(distinct):
        raise UsageError("every real sample is the same as a training example")
    value, n = float((fake.ratios <= np.quantile(distinct, CLOSE)).mean()), len(fake.ratios)
    variance = share_error(value, n) ** 2 + share_error(CLOSE, len(distinct)) ** 2
    return Score(value, sqrt(variance), n)


def nearer(held: PerPoint, made: OtherPerPoint) -> tuple[float, float]:
    """P(made < held) + P(equal) / 2, and its standard error."""
    from scipy.stats import rankdata  # slow to import, and most scores need none

    n, m = len(held), len(made)
    ranks = rankdata(np.concatenate([held, made]))
    of_held = (ranks[:n] - rankdata(held)) / m
    of_made = 1 - (ranks[n:] - rankdata(made)) / n
    return float(of_held.mean()), sqrt(of_held.var(ddof=1) / n + of_made.var(ddof=1) / m)


def cells_of(training: Points) -> Int[np.ndarray, " n"]:
    """The cell of each training example; one for all where there are few."""
    from sklearn.cluster import KMeans

    if len(training) < CELLS * LEAST:
        return np.zeros(len(training), np.int64)
    return KMeans(CELLS, random_state=0).fit_predict(training).astype(np.int64)


def nearest(
    views: Sequence[Points],
    training: OtherPoints,
    cells: Int[np.ndarray, " m"],
    own: Int[np.ndarray, " n"] | None = None,
    apply: Apply = map,
) -> Nearest:
    """The nearest of three or more distinct training examples [m, d] to each example, over several
    views of it (itself, and shifted, say), each [n, d]. own: which training example each is, not to
    count.
    """
    if len(training) < 3:
        raise UsageError(f"it needs three training examples that differ, got {len(training)}")
    count = len(views[0])
    best = np.full((count, 2), np.inf), np.full((count, 2), -1)
    work = [(view, part) for view in views for part in parts(count, len(training))]

    def look(task: tuple[Points, slice]) -> tuple[slice, np.ndarray, np.ndarray]:
        view, part = task
        found = squared_distances(view[part], training)
        if own is not None:
            found[np.arange(len(found)), own[part]] = np.inf
        index = np.argpartition(found, 1, axis=1)[:, :2]
        exact = np.square(view[part][:, None] - training[index]).sum(2)
        return part, exact, index

    for part, squares, index in apply(look, work):
        _merge(best, part, squares, index)
    squares, index = best
    ratios = np.sqrt(squares[:, 0] / np.where(squares[:, 1] > 0, squares[:, 1], 1))
    return Nearest(np.sqrt(squares[:, 0]), ratios, cells[index[:, 0]])


def _merge(best: tuple, part: slice, squares: np.ndarray, index: np.ndarray) -> None:
    """The two nearest of four, no training example twice."""
    every = np.concatenate([best[0][part], squares], axis=1)
    names = np.concatenate([best[1][part], index], axis=1)
    order = np.argsort(every, axis=1, kind="stable")
    every, names = (np.take_along_axis(x, order, axis=1) for x in (every, names))
    others = np.where(names == names[:, :1], np.inf, every)
    second = others.argmin(1)
    rows = np.arange(len(every))
    best[0][part] = np.stack([every[:, 0], others[rows, second]], axis=1)
    best[1][part] = np.stack([names[:, 0], names[rows, second]], axis=1)

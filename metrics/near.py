"""Which of many modes are near which samples: by a tree, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from scipy.spatial import KDTree

from metrics.contracts import Columns, PerPoint, Points

MANY = 100
"""From so many modes on, a sample is held against those near it alone."""

PAIRS = 2**20
"""Pairs of a sample and a mode that a block holds."""

SLACK = 1 + 1e-9
"""Against rounding of the distances in the tree."""

FAR = 1e100
"""Coordinates whose squares a tree can't add."""

Places = Int[np.ndarray, " m"]


def nearest(tree: KDTree, points: Points) -> Places:
    """The mode whose centre is nearest to each point."""
    return np.asarray(tree.query(points)[1])


def too_far(columns: Columns) -> np.ndarray:
    """Which samples a tree can't look for, bool [n]: they are held against every mode."""
    return np.abs(columns).max(axis=0) > FAR


def grouped(modes: Places) -> Iterator[tuple[int, Places]]:
    """Each mode that occurs, in rising order, with the places where it does."""
    order = np.argsort(modes, kind="stable")
    known, starts = np.unique(modes[order], return_index=True)
    for mode, places in zip(known, np.split(order, starts[1:]), strict=False):
        yield int(mode), places


def near(
    tree: KDTree, points: Points, radii: PerPoint
) -> Iterator[tuple[slice, list[tuple[int, Places]]]]:
    """Blocks of points [n, d], with the modes whose centres lie within the radius of any of them,
    in rising order, each with the places in the block that it is near to.
    """
    radii = radii * SLACK
    counts = tree.query_ball_point(points, radii, return_length=True)
    start, total = 0, np.cumsum(counts)
    while start < len(points):
        before = total[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(total, before + PAIRS, side="right")))
        part = slice(start, end)
        found = tree.query_ball_point(points[part], radii[part])
        modes = np.concatenate([np.asarray(one, dtype=np.intp) for one in found])
        places = np.repeat(np.arange(end - start), counts[part])
        yield part, [(mode, places[those]) for mode, those in grouped(modes)]
        start = end

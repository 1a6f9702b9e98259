"""One exact test of all series: whole seeds change sides, in every series at once.

What the series of a seed share (data, judges) moves with the seed, and does no harm. The statistic
is the sum of squares of what got worse: each series' difference of means over its spread within
both sides, with the margin as the least spread. One series that falls far shows in it, as do many
that fall a little.
"""

from __future__ import annotations

import numpy as np

from results.ranks import CHUNK, ROUNDING, WAYS, relabelings, ways_for

TINY = 1e-300
FAR = 1e6

DIVERGED = 10.0
"""How many ranges beyond the worst value a diverged seed is put."""


def joint_tails(
    old: np.ndarray, new: np.ndarray, margins: np.ndarray, limit: int = WAYS
) -> tuple[float, float]:
    """p-values that the new seeds [seeds, series] are worse than the old, and better, all series
    as one. Larger is worse; a diverged seed is infinite.
    """
    values = _finite(np.concatenate([old, new]))
    scale = np.fmax(np.fmax(values.std(0), margins), TINY)
    values, floors = (values - values.mean(0)) / scale, margins / scale
    ways = relabelings(len(old), len(new), ways_for(values.shape[1], limit)).new
    worse, better = np.zeros(len(ways)), np.zeros(len(ways))
    width = max(1, CHUNK // (4 * len(ways)))
    for start in range(0, values.shape[1], width):
        part = slice(start, start + width)
        moved = _studentised(values[:, part], floors[part], ways)
        worse += (np.clip(moved, 0, FAR) ** 2).sum(1)
        better += (np.clip(-moved, 0, FAR) ** 2).sum(1)
    return _tail(worse), _tail(better)


def _finite(values: np.ndarray) -> np.ndarray:
    """Diverged seeds far beyond the worst that finished."""
    there = np.isfinite(values)
    top = np.where(there, values, -np.inf).max(0)
    low = np.where(there, values, np.inf).min(0)
    with np.errstate(invalid="ignore"):
        span = np.where(top > low, top - low, np.abs(top))
    far = np.where(np.isfinite(top), top + DIVERGED * np.where(span > 0, span, 1.0), 0.0)
    return np.where(there, values, far)


def _studentised(values: np.ndarray, floors: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """For each way to call seeds new, the difference of means over the spread, [ways, series]."""
    new = ways.sum(1, keepdims=True)
    old = len(values) - new
    inside = ways.astype(float)
    total, squares = values.sum(0), (values**2).sum(0)
    sums, sums_of_squares = inside @ values, inside @ values**2
    here, there = sums / new, (total - sums) / old
    left = squares - sums_of_squares - old * there**2
    spread = np.maximum(sums_of_squares - new * here**2 + left, 0) / max(len(values) - 2, 1)
    return (here - there) / np.sqrt(np.maximum(spread + floors**2, ROUNDING**2))


def _tail(statistic: np.ndarray) -> float:
    return float((statistic >= statistic[0] * (1 - ROUNDING)).mean())

"""Exact rank tests over seeds, each series alone.

Arrays are [seeds, series], larger is worse; a diverged seed is infinite. Ties share their mean
rank, and the null distribution is that of the ranks that were seen: ties cost no exactness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

WAYS = 10_000
LEAST_WAYS, WORK = 1_000, 4_000_000
CHUNK = 10_000_000
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Relabelings:
    """Ways to call some of all seeds new, bool [ways, old + new]; the first is how it is.

    exact: all there are. Otherwise they were drawn, and the first counts among them, so that a
    p-value stays valid.
    """

    new: np.ndarray
    exact: bool


@cache
def relabelings(old: int, new: int, limit: int = WAYS) -> Relabelings:
    """Every way to choose the new seeds, or `limit` random ones where there are more."""
    seeds, count = old + new, math.comb(old + new, new)
    if count <= limit:
        chosen = np.array([*combinations(range(seeds - 1, -1, -1), new)])
    else:
        rng = np.random.default_rng(old * 1_000_003 + new)
        drawn = rng.permuted(np.tile(np.arange(seeds), (limit, 1)), axis=1)[:, :new]
        chosen = np.concatenate([np.arange(seeds - new, seeds)[None], drawn])
    ways = np.zeros((len(chosen), seeds), bool)
    np.put_along_axis(ways, chosen, True, axis=1)
    return Relabelings(ways, count <= limit)


def smallest_p(old: int, new: int) -> float:
    """The smallest one-sided p-value that so many seeds can give."""
    return 1 / math.comb(old + new, new) if old and new else 1.0


def ways_for(series: int, limit: int = WAYS) -> int:
    """How many relabelings are looked at: fewer where there are so many series that Holm's tests
    could not fire anyway.
    """
    return min(limit, max(LEAST_WAYS, WORK // max(series, 1)))


def attainable_p(old: int, new: int, series: int, limit: int = WAYS) -> float:
    """The smallest p-value that can come of the relabelings that are looked at."""
    exact, drawn = smallest_p(old, new), ways_for(series, limit)
    return exact if math.comb(old + new, new) <= drawn else max(exact, 1 / (drawn + 1))


def tails(old: np.ndarray, new: np.ndarray, limit: int = WAYS) -> tuple[np.ndarray, np.ndarray]:
    """One-sided p-values of each series: that the new seeds are worse, and that they are better.

    The statistic is the rank sum of the new seeds (Mann and Whitney 1947), halves of
    whole numbers, which single precision adds without rounding.
    """
    ranks = mid_ranks(np.concatenate([old, new])).astype(np.float32)
    some = ways_for(ranks.shape[1], limit)
    ways = relabelings(len(old), len(new), some).new.astype(np.float32)
    width = max(1, CHUNK // len(ways))
    parts = [_tails(ranks[:, i : i + width], ways) for i in range(0, ranks.shape[1], width)]
    worse, better = zip(*parts, strict=True) if parts else ((np.empty(0),), (np.empty(0),))
    return np.concatenate(worse), np.concatenate(better)


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 within each column, ties sharing their mean; scipy.stats has them too, and takes
    half a second to import.
    """
    places = np.broadcast_to(np.arange(len(values))[:, None], values.shape)
    order = values.argsort(axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    new = np.ones(values.shape, bool)
    new[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(new, places, 0), axis=0)
    closes = np.roll(new, -1, axis=0)
    ends = np.where(closes, places, len(values))[::-1]
    last = np.minimum.accumulate(ends, axis=0)[::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=0)
    return ranks


def _tails(ranks: np.ndarray, ways: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sums = ways @ ranks
    slack = (ROUNDING * (1 + np.abs(ranks).sum(0))).astype(ranks.dtype)
    return (sums >= sums[0] - slack).mean(0), (sums <= sums[0] + slack).mean(0)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values (1979): to be held against the level of the whole family."""
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted


@dataclass(frozen=True, eq=False)
class Shift:
    """By how much the new seeds are worse, [series]: the Hodges-Lehmann estimate (the median of all
    differences between a new and an old seed), and its one-sided bounds.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def shift(old: np.ndarray, new: np.ndarray, alpha: float) -> Shift:
    """The shift with bounds that err in `alpha` of all cases, each; infinite where so few seeds
    can give none.
    """
    with np.errstate(invalid="ignore"):
        every = (new[:, None] - old[None]).reshape(-1, old.shape[1])
    every[np.isnan(every)] = 0.0
    every.sort(axis=0)
    depth = _depth(len(old), len(new), alpha)
    if depth == 0:
        nothing = np.full(old.shape[1], np.inf)
        return Shift(_median(every), -nothing, nothing)
    return Shift(_median(every), every[depth - 1], every[-depth])


def _median(ordered: np.ndarray) -> np.ndarray:
    """The median of columns in rising order; infinite ones do no harm."""
    half = len(ordered) // 2
    below, above = ordered[(len(ordered) - 1) // 2], ordered[half]
    with np.errstate(invalid="ignore"):
        return np.where(below == above, above, (below + above) / 2)


@cache
def _depth(old: int, new: int, alpha: float) -> int:
    """How many of the smallest differences lie below the bound."""
    chances = np.cumsum(_rank_sums(old, new))
    return int(np.searchsorted(chances, alpha * (1 + ROUNDING), side="right"))


def _rank_sums(old: int, new: int) -> np.ndarray:
    """The null distribution of the Mann-Whitney statistic without ties, 0 to old * new."""
    counts = np.zeros(old * new + 1)
    counts[0] = 1.0
    for i in range(1, new + 1):
        counts[old + i :] -= counts[: max(0, len(counts) - old - i)].copy()
        for start in range(i):
            counts[start::i] = np.cumsum(counts[start::i])
        counts /= counts.max()
    return counts / counts.sum()

"""Samples counted by mode: streaming, mergeable, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.core.randomness import stream
from metrics.contracts import Modes, PerMode, Points
from metrics.rules import RULES, Rule

MARGIN = 2.0
CHUNK_VALUES = 65_536
CALIBRATION_VALUES = 2**21


@dataclass(frozen=True, eq=False)
class ModeTruth:
    """The right shares: high-quality samples of each mode [K], and all the rest.

    With well-separated modes they are weight times (1 - tail). Where the rule's balls may
    overlap they are counted on draws with a fixed seed: a million in the plane.
    """

    shares: PerMode
    weights: PerMode

    @property
    def off_manifold(self) -> float:
        return float(1 - self.shares.sum())

    @property
    def modes(self) -> int:
        return len(self.shares)


@dataclass(frozen=True, eq=False)
class ModeTally:
    """Counts of `n` samples: high-quality ones by nearest mode [K], and all by nearest mode [K].

    Samples that are not finite are nobody's; they count in `n` alone.
    """

    high_quality: PerMode
    nearest: PerMode
    n: int

    def __add__(self, other: ModeTally) -> ModeTally:
        return ModeTally(
            self.high_quality + other.high_quality, self.nearest + other.nearest, self.n + other.n
        )

    @classmethod
    def empty(cls, modes: int) -> ModeTally:
        return cls(np.zeros(modes, dtype=np.int64), np.zeros(modes, dtype=np.int64), 0)


def tally(mixture: Modes, samples: Points, rule: str) -> ModeTally:
    """Count samples [n, d] by mode, under a named rule.

    A sample belongs to the mode at the smallest distance of the rule. Raises ValueError where
    the dimensions differ.
    """
    samples = np.asarray(samples)
    modes, dim = mixture.centres.shape
    if samples.ndim != 2 or samples.shape[1] != dim:
        raise ValueError(f"expected samples of shape [n, {dim}], got {list(samples.shape)}")
    total = ModeTally.empty(modes)
    size = max(1, CHUNK_VALUES // dim)
    for start in range(0, len(samples), size):
        total = total + _tally_chunk(mixture, samples[start : start + size], RULES[rule].part)
    return total


def _tally_chunk(mixture: Modes, chunk: Points, rule: Rule) -> ModeTally:
    columns = np.ascontiguousarray(chunk.T, dtype=np.float64)
    finite = np.isfinite(columns).all(axis=0)
    columns = columns if finite.all() else np.ascontiguousarray(columns[:, finite])
    best = np.full(columns.shape[1], np.inf)
    owner = np.zeros(columns.shape[1], dtype=np.intp)
    with np.errstate(over="ignore"):
        for mode, dims in enumerate(mixture.spread_dims):
            distance = rule.distance(mixture.standardised(mode, columns), int(dims))
            closer = distance < best
            np.copyto(best, distance, where=closer)
            np.copyto(owner, mode, where=closer)
    radii = np.array([rule.radius(int(dims)) for dims in mixture.spread_dims])
    inside = best < radii[owner]
    modes = len(mixture.weights)
    return ModeTally(
        np.bincount(owner[inside], minlength=modes),
        np.bincount(owner, minlength=modes),
        len(chunk),
    )


@lru_cache(maxsize=64)
def truth(mixture: Modes, rule: str) -> ModeTruth:
    """The shares that real data have under a rule."""
    part = RULES[rule].part
    dims = mixture.spread_dims
    if _separated(mixture, part):
        tails = np.array([part.tail(int(d)) for d in dims])
        return ModeTruth(mixture.weights * (1 - tails), mixture.weights)
    draws = max(10_000, CALIBRATION_VALUES // mixture.centres.shape[1])
    rng = stream("mode truth", rule)
    counts = ModeTally.empty(len(dims))
    while counts.n < draws:
        counts = counts + tally(mixture, mixture.sample(10_000, rng).numpy(), rule)
    total = counts.n + (len(dims) + 1) / 2
    return ModeTruth((counts.high_quality + 0.5) / total, mixture.weights)


def _separated(mixture: Modes, rule: Rule) -> bool:
    """Whether no mode has a share to speak of in another's high-quality region: the balls around
    them lie at least `MARGIN` standard deviations apart.
    """
    spans = np.array([rule.span(int(d)) for d in mixture.spread_dims])
    reach = (spans + MARGIN) * mixture.widest
    gaps = np.linalg.norm(mixture.centres[:, None] - mixture.centres[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    return bool((gaps > reach[:, None] + reach[None]).all())

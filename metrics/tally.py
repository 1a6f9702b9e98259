"""Samples counted by mode: streaming, mergeable, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import KDTree

from bench.core.randomness import stream
from metrics.contracts import Columns, Modes, PerMode, Points
from metrics.near import MANY, grouped, near, nearest, too_far
from metrics.rules import RULES, Rule

MARGIN = 2.0
CHUNK_VALUES = 65_536
CALIBRATION_VALUES = 2**21
AT_ONCE = 10_000


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
    size = max(1, (CHUNK_VALUES if modes < MANY else CALIBRATION_VALUES) // dim)
    for start in range(0, len(samples), size):
        total = total + _tally_chunk(mixture, samples[start : start + size], RULES[rule].part)
    return total


def _tally_chunk(mixture: Modes, chunk: Points, rule: Rule) -> ModeTally:
    columns = np.ascontiguousarray(chunk.T, dtype=np.float64)
    finite = np.isfinite(columns).all(axis=0)
    columns = columns if finite.all() else np.ascontiguousarray(columns[:, finite])
    with np.errstate(over="ignore"):
        look = _owners if len(mixture.weights) < MANY else _owners_by_tree
        best, owner = look(mixture, columns, rule)
    radii = np.array([rule.radius(int(dims)) for dims in mixture.spread_dims])
    inside = best < radii[owner]
    modes = len(mixture.weights)
    return ModeTally(
        np.bincount(owner[inside], minlength=modes),
        np.bincount(owner, minlength=modes),
        len(chunk),
    )


def _owners(mixture: Modes, columns: Columns, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """The smallest distance of each sample by a rule, and the first mode that is so near."""
    best = np.full(columns.shape[1], np.inf)
    owner = np.zeros(columns.shape[1], dtype=np.intp)
    for mode, dims in enumerate(mixture.spread_dims):
        distance = rule.distance(mixture.standardised(mode, columns), int(dims))
        closer = distance < best
        np.copyto(best, distance, where=closer)
        np.copyto(owner, mode, where=closer)
    return best, owner


def _owners_by_tree(mixture: Modes, columns: Columns, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """The same, looking only at the modes that can be nearer than the one whose centre is."""
    if (far := too_far(columns)).any():
        best, owner = np.empty(len(far)), np.empty(len(far), dtype=np.intp)
        for look, those in ((_owners, far), (_owners_by_tree, ~far)):
            best[those], owner[those] = look(mixture, np.ascontiguousarray(columns[:, those]), rule)
        return best, owner
    points, tree, dims = columns.T, KDTree(mixture.centres), mixture.spread_dims
    best = np.full(len(points), np.inf)
    owner = np.zeros(len(points), dtype=np.intp)
    for mode, places in grouped(nearest(tree, points)):
        z = mixture.standardised(mode, np.ascontiguousarray(columns[:, places]))
        best[places] = rule.distance(z, int(dims[mode]))
    reach = max(_stretch(rule, int(d), len(columns)) * w for d, w in _kinds(mixture))
    for part, found in near(tree, points, best * reach):
        distances, owners, own = np.full(len(points[part]), np.inf), owner[part], columns[:, part]
        for mode, places in found:
            z = mixture.standardised(mode, np.ascontiguousarray(own[:, places]))
            distance = rule.distance(z, int(dims[mode]))
            closer = distance < distances[places]
            distances[places[closer]] = distance[closer]
            owners[places[closer]] = mode
        best[part] = distances
    return best, owner


def _kinds(mixture: Modes) -> set[tuple[int, float]]:
    """How many directions are spread and how widely, of every mode."""
    return set(zip(mixture.spread_dims.tolist(), mixture.widest.tolist(), strict=True))


def _stretch(rule: Rule, spread: int, dims: int) -> float:
    """How far a sample at distance 1 by a rule can lie from its mode, in its largest standard
    deviations.
    """
    return rule.span(spread) / rule.radius(spread) * np.sqrt(dims / spread)


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
    parts = [mixture.sample(AT_ONCE, rng).numpy() for _ in range(-(-draws // AT_ONCE))]
    counts = tally(mixture, np.concatenate(parts), rule)
    total = counts.n + (len(dims) + 1) / 2
    return ModeTruth((counts.high_quality + 0.5) / total, mixture.weights)


def counting_seconds(mixture: Modes, samples: int) -> float:
    """A forecast of all that is counted by mode, on one core: of the samples by every rule, and of
    the draws that tell the right shares where the modes of the default rule overlap.
    """
    modes, dim = mixture.centres.shape
    own = 2e-8 * samples * min(modes, MANY) * dim + 1.5e-4 * modes
    apart = _separated(mixture, RULES["euclid3"].part)
    return own if apart else own + 2e-8 * CALIBRATION_VALUES * min(modes, 5 * MANY)


def _separated(mixture: Modes, rule: Rule) -> bool:
    """Whether no mode has a share to speak of in another's high-quality region: the balls around
    them lie at least `MARGIN` standard deviations apart.
    """
    spans = np.array([rule.span(int(d)) for d in mixture.spread_dims])
    reach, centres = (spans + MARGIN) * mixture.widest, mixture.centres
    tree = KDTree(centres)
    if len(centres) > 1:
        other = np.asarray(tree.query(centres, k=2)[1])[:, 1]
        gaps = np.linalg.norm(centres - centres[other], axis=1)
        if not (gaps > reach + reach[other]).all():
            return False
    for part, found in near(tree, centres, reach + reach.max()):
        own, reaches = centres[part], reach[part]
        for mode, places in found:
            places = places[places + part.start != mode]
            gaps = np.linalg.norm(own[places] - centres[mode], axis=1)
            if not (gaps > reaches[places] + reach[mode]).all():
                return False
    return True

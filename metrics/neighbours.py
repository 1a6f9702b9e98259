"""Who lies among whose neighbours: one survey for precision, recall, density and coverage.

Distances are Euclidean, in float64, from squares expanded as |x|^2 + |y|^2 - 2 x.y around one of
the reals, in chunks of bounded memory. A ball's radius is the distance to the k-th neighbour of its
own set, the point itself not counted; a point on the sphere is outside (strictly less, as Naeem et
al. 2020 have it; Kynkaanniemi et al. 2019 count it in: the two differ where points repeat).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from bench.core.errors import UsageError
from metrics.contracts import OtherPoints, PerPoint, Points
from metrics.features import Apply, Features, refuse_dims

MANIFOLD_K = 3
"""Neighbours for precision and recall, as Kynkaanniemi et al. 2019 choose."""
DENSITY_K = 5
"""Neighbours for density and coverage, as Naeem et al. 2020 choose."""
CHUNK_VALUES = 4_194_304
"""Distances that one chunk holds: 32 MB."""
PARTS, LEAST_OF_A_PART = 10, 20


@dataclass(frozen=True, eq=False)
class Covered:
    """Of each real sample: whether it lies in the ball (k = 3) of a fake, and whether a fake lies
    in its own (k = 5). parts: the same of disjoint parts of both sets alone.
    """

    in_a_ball: Bool[np.ndarray, " n"]
    reached: Bool[np.ndarray, " n"]
    parts: tuple[Covered, ...] = ()


@dataclass(frozen=True, eq=False)
class Landed:
    """Of each fake sample: whether it lies in the ball (k = 3) of a real one, and in how many of
    their balls with k = 5. parts: the same of disjoint parts of both sets alone.
    """

    in_a_ball: Bool[np.ndarray, " n"]
    balls: Int[np.ndarray, " n"]
    parts: tuple[Landed, ...] = ()


def survey(real: Features, fake: Features) -> tuple[Covered, Landed]:
    """Look once at every pair, then at ten disjoint parts, from whose spread errors are had.

    Raises UsageError for fewer than six samples of either.
    """
    whole = look_at(real, fake)
    if min(real.n, fake.n) < PARTS * LEAST_OF_A_PART:
        return whole
    a, b = real.exact, fake.exact
    found = [look_at(Features(a[i::PARTS]), Features(b[i::PARTS])) for i in range(PARTS)]
    covered, landed = zip(*found, strict=True)
    return replace(whole[0], parts=covered), replace(whole[1], parts=landed)


def look_at(real: Features, fake: Features) -> tuple[Covered, Landed]:
    """A survey of all of both, without parts."""
    refuse_dims(real, fake)
    least = DENSITY_K + 1
    if min(real.n, fake.n) < least:
        raise UsageError(f"it needs {least} samples of each, got {real.n} and {fake.n}")
    origin = real.exact[0]
    a, b, apply = real.exact - origin, fake.exact - origin, real.apply
    narrow, wide = radii(a, (MANIFOLD_K, DENSITY_K), apply)
    (of_fakes,) = radii(b, (MANIFOLD_K,), apply)
    in_a_ball, reached = np.empty(len(a), bool), np.empty(len(a), bool)
    landed, balls = np.zeros(len(b), bool), np.zeros(len(b), np.int64)

    def look(part: slice) -> tuple[Any, ...]:
        squares = squared_distances(a[part], b)
        inside = squares < wide[part, None]
        return (
            part,
            (squares < of_fakes).any(1),
            inside.any(1),
            (squares < narrow[part, None]).any(0),
            inside.sum(0),
        )

    for part, held, hit, among, count in apply(look, parts(len(a), len(b))):
        in_a_ball[part], reached[part] = held, hit
        landed |= among
        balls += count
    return Covered(in_a_ball, reached), Landed(landed, balls)


def squared_distances(first: Points, second: OtherPoints) -> Float[np.ndarray, "n m"]:
    """Of every point of the first to every point of the second."""
    found = first @ second.T
    found *= -2
    found += np.square(first).sum(1)[:, None]
    found += np.square(second).sum(1)
    return np.maximum(found, 0, out=found)


def parts(rows: int, columns: int) -> Iterator[slice]:
    """Slices of the rows, so that a chunk of all columns stays small."""
    size = max(1, CHUNK_VALUES // max(1, columns))
    return (slice(i, min(i + size, rows)) for i in range(0, rows, size))


def radii(points: Points, ks: tuple[int, ...], apply: Apply = map) -> list[PerPoint]:
    """For each k, the squared distance of every point to its k-th nearest other one."""
    last = len(points) - 1
    if not all(1 <= k <= last for k in ks):
        raise UsageError(f"neighbour {max(ks)} needs {max(ks) + 1} samples, got {len(points)}")
    found = [np.empty(len(points)) for _ in ks]

    def look(part: slice) -> tuple[slice, list[PerPoint]]:
        squares = squared_distances(points[part], points)
        squares[np.arange(len(squares)), np.arange(part.start, part.stop)] = 0
        nearest = np.partition(squares, ks, axis=1)
        return part, [nearest[:, k].copy() for k in ks]

    for part, values in apply(look, parts(len(points), len(points))):
        for into, value in zip(found, values, strict=True):
            into[part] = value
    return found

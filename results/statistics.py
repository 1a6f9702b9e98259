"""Intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from scipy.special import stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval; `kind` says what the interval is over."""

    mean: float
    low: float | None
    high: float | None
    kind: str
    n: int


def interval(
    values: Sequence[float],
    std_error: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Interval:
    """Student's t over seeds, clipped to the metric's range.

    One value alone has the normal interval of its standard error over samples, where that is
    known, and none where it is not. Raises ValueError for no values.
    """
    n = len(values)
    if not n:
        raise ValueError("expected at least one value")
    mean = math.fsum(values) / n
    if n > 1:
        spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n)
        half, kind = _t(n - 1) * spread, "seeds"
    elif std_error is not None:
        half, kind = _normal() * std_error, "samples"
    else:
        return Interval(mean, None, None, "none", n)
    bottom = mean - half if low is None else max(mean - half, min(low, mean))
    top = mean + half if high is None else min(mean + half, max(high, mean))
    return Interval(mean, bottom, top, kind, n)


def of_one(
    value: float,
    std_error: float | None,
    n: int | None,
    share: bool,
    low: float | None = None,
    high: float | None = None,
) -> Interval:
    """Of one value alone: Wilson's of a share of n samples, else that of `interval`."""
    if share and std_error is not None and n:
        return wilson(value, n)
    return interval([value], std_error, low, high)


def wilson(share: float, n: int) -> Interval:
    """Wilson's interval of a share of n independent samples; never empty, also at 0 and 1."""
    z = _normal()
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
    return Interval(share, low, high, "samples", 1)


@cache
def _t(freedom: int) -> float:
    return float(stdtrit(freedom, (1 + LEVEL) / 2))


@cache
def _normal() -> float:
    return float(stdtrit(1e9, (1 + LEVEL) / 2))

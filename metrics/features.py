"""Two sets of features as metrics get them: points, or the moments that a file has kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from metrics.contracts import Points
from metrics.moments import Moments

Apply = Callable[..., Iterable[Any]]
"""How work on chunks is mapped: `map`, or that of a pool. The results come in order."""


LARGEST = 1e15
NO_POINTS = "it needs the features themselves, and the file has mu and sigma only"


@dataclass(frozen=True, eq=False)
class Features:
    """points: [n, d], in an order that says nothing about them, for metrics that split them; None
    where `kept` moments are all there is.

    Raises UsageError for points that are not finite, or fewer than two.
    """

    points: Points | None
    kept: Moments | None = None
    apply: Apply = map

    def __post_init__(self) -> None:
        points = self.points
        if points is None:
            if self.kept is None:
                raise UsageError("features: expected points or moments, got neither")
            return
        if points.ndim != 2 or len(points) < 2 or points.shape[1] < 1:
            raise UsageError(f"expected 2 or more features [n, d], got {list(points.shape)}")
        if not np.issubdtype(points.dtype, np.number):
            raise UsageError(f"expected features that are numbers, got {points.dtype}")
        broken = ~np.isfinite(points).all(1)
        if broken.any():
            raise UsageError(
                f"features of sample {int(broken.argmax())} are not finite, and those of "
                f"{int(broken.sum()) - 1} more"
            )
        if points.size and np.abs(points).max() > LARGEST:
            raise UsageError(
                f"features reach {np.abs(points).max():.3g}: expected {LARGEST:g} at most, so that "
                "their powers can be told; divide them by a constant"
            )

    @cached_property
    def moments(self) -> Moments:
        """Mean and covariance; those that were kept where there are no points."""
        return Moments.of(self.points) if self.points is not None else self._kept

    @property
    def _kept(self) -> Moments:
        if self.kept is None:
            raise UsageError("features: expected points or moments, got neither")
        return self.kept

    @property
    def n(self) -> int:
        return len(self.points) if self.points is not None else self._kept.n

    @property
    def dims(self) -> int:
        return self.points.shape[1] if self.points is not None else len(self._kept.mean)

    @property
    def exact(self) -> Points:
        """The points in float64. Raises UsageError where moments are all there is."""
        if self.points is None:
            raise UsageError(NO_POINTS)
        return np.asarray(self.points, dtype=np.float64)


def refuse_dims(real: Features, fake: Features) -> None:
    """Raise UsageError where two sets do not lie in one space."""
    if real.dims != fake.dims:
        raise UsageError(
            f"expected features of as many dimensions, got {real.dims} of the real and "
            f"{fake.dims} of the fake"
        )

"""Features that were kept: as `save_stats` writes them, or as mu and sigma of other tools."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UsageError, one_line
from bench.datasets.images import shown
from metrics.features import Features
from metrics.moments import Moments

VERSION = 1
LARGEST_SIGMA = 4_096
SKEWED, NEGATIVE = 1e-6, 1e-4
"""Shares of the largest entry that rounding to float32 explains."""
UNKNOWN = 2
"""The number of samples that moments pretend to, where the file does not say it."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Features as they stand, or what was kept of some. tag: what they are of, empty where a file
    does not say; read: how images were brought to them. counted: whether the number of samples is
    known. thumbnails, ids, probabilities: as `Extracted` has them, or None. notes: what a reader of
    the scores should know.
    """

    origin: str
    features: Features
    tag: str = ""
    counted: bool = True
    ids: np.ndarray | None = None
    thumbnails: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    read: Mapping[str, str | int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def usable(points: np.ndarray, origin: str) -> np.ndarray:
    """float64 unless float32; raises UsageError, with the origin, for what no metric can use."""
    if points.dtype != np.float32:
        points = points.astype(np.float64)
    broken = ~np.isfinite(points).all(1)
    if broken.any():
        raise UsageError(
            f"{origin}: {int(broken.sum())} of {len(points)} rows are not finite, the first is row "
            f"{int(broken.argmax())}"
        )
    return points


def statistics(path: Path, file: Any) -> Kept:
    """Moments, with all that `save_stats` keeps, or mu and sigma alone as other tools keep them."""
    origin = shown(path)
    card = _card(file, origin)
    n = int(card.get("n", file["n"] if "n" in file.files else 0))
    if n < 0 or n == 1:
        raise UsageError(f"{origin}: expected statistics of two samples or more, got n = {n}")
    moments = _moments(file, origin, n) if "mu" in file.files and "sigma" in file.files else None
    more = {k: file[k] for k in ("ids", "thumbnails", "probabilities") if k in file.files}
    points = usable(file["points"], origin) if "points" in file.files else None
    lengths = {len(array) for array in (*more.values(), *(() if points is None else (points,)))}
    if points is not None and (lengths != {n} or points.ndim != 2):
        raise UsageError(f"{origin} is damaged: its arrays are not all of {n:,} samples")
    kept = Features(points, moments)
    if points is None:
        more = {}
    read = card.get("read", {})
    return Kept(origin, kept, str(card.get("features", "")), bool(n), read=read, **more)


def _card(file: Any, origin: str) -> dict[str, Any]:
    try:
        card: Any = json.loads(str(file["card"])) if "card" in file.files else {}
    except ValueError as error:
        raise UsageError(f"{origin} is damaged: {one_line(error, 80)}") from error
    if not isinstance(card, dict) or not isinstance(card.get("read", {}), dict):
        raise UsageError(f"{origin} is damaged: its card is no table")
    if not isinstance(card.get("version", VERSION), int) or card.get("version", VERSION) > VERSION:
        raise UsageError(f"{origin} was written by a newer bench: update it, or save it again")
    return card


def _moments(file: Any, origin: str, n: int) -> Moments:
    """Of mu and sigma. Raises UsageError where they are none."""
    mean, covariance = file["mu"], file["sigma"]
    if mean.dtype.kind not in "fiu" or covariance.dtype.kind not in "fiu":
        raise UsageError(f"{origin}: expected mu and sigma as real numbers, got {mean.dtype}")
    mean, covariance = mean.astype(np.float64), covariance.astype(np.float64)
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise UsageError(
            f"{origin}: expected mu [d] and sigma [d, d], got {mean.shape} and {covariance.shape}"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UsageError(f"{origin}: mu or sigma is not finite")
    scale = np.abs(covariance).max()
    least = float(np.linalg.eigvalsh((covariance + covariance.T) / 2).min())
    if np.abs(covariance - covariance.T).max() > SKEWED * scale or least < -NEGATIVE * scale:
        raise UsageError(
            f"{origin}: sigma is no covariance: expected it symmetric, without negative "
            f"eigenvalues, got {least:.3g}"
        )
    return Moments(n or UNKNOWN, mean, covariance * ((n or UNKNOWN) - 1))


def packed(kept: Kept) -> bytes:
    """The .npz file of `save_stats`: mu and sigma as others have them, and what else is known. A
    covariance of more than LARGEST_SIGMA dimensions is left out: the points tell it.
    """
    features, buffer = kept.features, io.BytesIO()
    card = {
        "version": VERSION,
        "features": kept.tag,
        "n": features.n if kept.counted else 0,
        "dims": features.dims,
        "read": dict(kept.read),
    }
    more: dict[str, Any] = {
        "points": features.points,
        "ids": kept.ids,
        "thumbnails": kept.thumbnails,
        "probabilities": kept.probabilities,
    }
    if features.dims <= LARGEST_SIGMA or features.points is None:
        moments = features.moments
        more |= {"mu": moments.mean, "sigma": moments.covariance}
    np.savez(
        buffer,
        n=np.int64(card["n"]),
        card=np.array(json.dumps(card)),
        **{name: array for name, array in more.items() if array is not None},
    )
    return buffer.getvalue()

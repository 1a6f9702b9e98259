"""How much a seam between two images shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from bench.core.errors import UsageError
from metrics.contracts import METRICS, Score
from metrics.shares import mean_score

REACH = 2
"""Pixels on either side of a seam that belong to it."""


@dataclass(frozen=True, eq=False)
class Joined:
    """images: with a vertical seam between columns `seam` - 1 and `seam`."""

    images: UInt8[np.ndarray, "n c h w"]
    seam: int


@METRICS.register(
    "seam_ratio",
    takes="joined",
    direction="none",
    title="seam",
    low=0,
    kind="deterministic",
    relative=0.05,
    digits=2,
    estimator="mean |difference| of pixels beside one another in a row, within 2 pixels of the "
    "seam, over the mean elsewhere, for each image; the mean over images and its standard error. "
    "Images without any difference elsewhere are left out. Above what the truth row has, the seam "
    "shows; below it, it is smeared",
)
def seam_ratio(real: None, fake: Joined) -> Score:
    """1 where the seam is as rough as the rest. Raises UsageError where no image has a rest."""
    steps = np.abs(np.diff(fake.images.astype(np.float64), axis=3))
    middles = np.arange(steps.shape[3]) + 1
    near = np.abs(middles - fake.seam) <= REACH
    if not near.any() or near.all():
        raise UsageError(
            f"expected a seam inside of the images and columns beyond {REACH} pixels of it, got "
            f"{fake.images.shape[3]} columns and the seam at {fake.seam}"
        )
    at, rest = (steps[..., chosen].mean((1, 2, 3)) for chosen in (near, ~near))
    kept = rest > 0
    if not kept.any():
        raise UsageError("expected an image that is not the same everywhere: no seam can be judged")
    return mean_score(at[kept] / rest[kept])

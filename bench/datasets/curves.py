"""Curves through random points: images that six numbers describe."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

from bench.datasets.base import DATASETS
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled

SIDE, TRAINED_ON, HELD_OUT, SEED = 28, 20_000, 10_000, 0
POINTS, CHUNK = 32, 500
MARGIN, WIDTH = 0.15, 0.9
"""Of the points, a share of the side; and of a stroke, the standard deviation in pixels."""


def strokes(
    points: Float[np.ndarray, "n three two"], side: int = SIDE
) -> UInt8[np.ndarray, "n side side"]:
    """Quadratic Bezier curves from the first point by the second to the third, in shares of the
    side: a pixel is 255 exp(-d^2 / (2 width^2)) at a distance d from the curve, in pixels.
    """
    t = np.linspace(0, 1, POINTS, dtype=np.float32)
    weights = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2])
    path = np.einsum("tp,ntc->npc", weights, points.astype(np.float32)) * side - 0.5
    at = np.arange(side, dtype=np.float32)
    down = np.square(path[:, :, 0, None] - at)
    right = np.square(path[:, :, 1, None] - at)
    nearest = (down[:, :, :, None] + right[:, :, None, :]).min(1)
    return np.rint(255 * np.exp(-nearest / (2 * WIDTH**2))).astype(np.uint8)


@cache
def curves() -> Split:
    """20,000 to train on and 10,000 held out, of a fixed seed; each point is uniform inside a
    margin.
    """
    rng = np.random.default_rng(SEED)
    points = rng.uniform(MARGIN, 1 - MARGIN, (TRAINED_ON + HELD_OUT, 3, 2))
    parts = (points[at : at + CHUNK] for at in range(0, len(points), CHUNK))
    images = np.concatenate([strokes(part) for part in parts])
    labels = np.zeros(len(images), dtype=np.int64)
    seen, held = slice(TRAINED_ON), slice(TRAINED_ON, None)
    return Split(images[seen], labels[seen], images[held], labels[held])


DATASETS.register(
    "curves",
    paper="doi:10.1126/science.1127647",
    summary="Curves by three random points, 28 x 28 pixels, 10,000 held out",
    licence="drawn by a formula: free",
    large=True,
)(Labelled("curves", curves, classes=0, licence="drawn by a formula: free"))

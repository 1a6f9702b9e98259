"""Whether a finer image is still the coarse one that it was drawn from."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, Score
from metrics.shares import mean_score

Images = Float[np.ndarray, "n c h w"]
Resized = Float[np.ndarray, "n c y x"]


def block_means(images: Images, side: int = 2) -> Resized:
    """Of each block of `side` x `side` pixels; of a last one that is cut off, of what there is."""
    found = images.astype(np.float64)
    for axis in (2, 3):
        starts = np.arange(0, found.shape[axis], side)
        sizes = np.minimum(side, found.shape[axis] - starts)
        shape = [1] * 4
        shape[axis] = -1
        found = np.add.reduceat(found, starts, axis) / sizes.reshape(shape)
    return found


@METRICS.register(
    "consistency",
    paper="arXiv:1506.05751",
    takes="refined",
    direction="lower",
    title="consistency",
    low=0,
    absolute=0.002,
    digits=4,
    estimator="root of the mean over images and pixels of the squared difference between the means "
    "of a finer image's blocks (2 x 2 pixels where its sides are twice as long) and the coarse "
    "image that it was drawn from, neither clipped; its standard error by the delta method",
)
def consistency(real: Images, fake: Resized) -> Score:
    """How far finer images [n, c, h, w] are from what they were made of, coarse ones at half their
    sides or less, in units of the range [0, 1]: 0 where every block's residual has mean 0.
    """
    side = max(
        -(-fine // coarse) for fine, coarse in zip(fake.shape[2:], real.shape[2:], strict=True)
    )
    errors = np.square(block_means(fake, side) - real).mean((1, 2, 3))
    mean, error, n = mean_score(errors)
    root = float(np.sqrt(mean))
    return Score(root, error / (2 * root) if root and error is not None else error, n)

"""What a critic takes for real, as colours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

LEVELS = 24
"""How many colours a picture of it has."""
FAINT = 0.45
"""How much of a colour is over white, so that points can be seen on it."""


def belief(logits: np.ndarray) -> np.ndarray:
    """A critic's logits as shares from 0 to 1, its middle value at a half: whatever its loss, what
    it takes for more real is nearer to 1.
    """
    finite = np.where(np.isfinite(logits), logits, 0.0)
    centred = finite - np.median(finite)
    spread = np.abs(centred).max()
    return 0.5 + 0.5 * centred / spread if spread > 0 else np.full(logits.shape, 0.5)


def tinted(logits: Float[np.ndarray, "grid grid"]) -> UInt8[np.ndarray, "grid grid 3"]:
    """As a faint picture, the first row at its foot: red what is taken for real, blue for fake."""
    from matplotlib import colormaps

    steps = np.rint(belief(logits) * (LEVELS - 1)) / (LEVELS - 1)
    shade = np.asarray(colormaps["RdBu_r"](steps))[::-1, :, :3]
    return np.rint(255 * (1 - FAINT * (1 - shade))).astype(np.uint8)

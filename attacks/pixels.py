"""Images as rows and columns of pixels, whatever shape they come in."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from attacks.contracts import Images
from bench.core.errors import UsageError

Pixels = Float[Tensor, "batch channels height width"]


def as_pixels(images: Images, who: str) -> Pixels:
    """Images without channels get one, and vectors of a square number of pixels are such images.

    Raises UsageError for anything else, on behalf of `who`.
    """
    if images.ndim == 4:
        return images
    if images.ndim == 3:
        return images[:, None]
    pixels = images.shape[1:].numel()
    side = round(pixels**0.5)
    if images.ndim != 2 or side * side != pixels:
        raise UsageError(
            f"{who} expected images [batch, channels, height, width], or vectors of a square "
            f"number of pixels; got {list(images.shape)}"
        )
    return images.reshape(len(images), 1, side, side)


def as_planes(images: Images) -> Pixels:
    """The same for any points: a vector is one row of pixels."""
    if images.ndim >= 4:
        return images.flatten(1, -3) if images.ndim > 4 else images
    return images.reshape(len(images), 1, *((1,) * (3 - images.ndim)), *images.shape[1:])

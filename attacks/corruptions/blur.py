"""Blur: out of focus, in motion, while zooming."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from attacks.contracts import Seeds
from attacks.corruptions.contracts import CORRUPTIONS, PAPER, Corruption
from attacks.pixels import Pixels
from attacks.streams import uniform
from attacks.warps import places, sampled

TURN = 45.0
"""Degrees that a motion is off the horizontal at most."""
ZOOMS = 11


def convolved(images: Pixels, kernel: Tensor) -> Pixels:
    """Each channel with a kernel of an odd side, pixels repeated beyond the edge; as a sum of
    shifted images, the same whatever the batch.
    """
    side = kernel.shape[0]
    around = pad(images, [side // 2] * 4, mode="replicate")
    height, width = images.shape[2:]
    total = torch.zeros_like(images)
    for row, column in kernel.nonzero().tolist():
        shifted = around[:, :, row : row + height, column : column + width]
        total += float(kernel[row, column]) * shifted
    return total


def defocus(images: Pixels, seeds: Seeds, radius: float) -> Pixels:
    """The mean over a disc of this radius in pixels, soft at its edge."""
    half = math.ceil(radius)
    steps = torch.arange(-half, half + 1, dtype=torch.float64)
    far = (steps.square()[:, None] + steps.square()).sqrt()
    disc = (radius + 0.5 - far).clamp(0, 1)
    return convolved(images, disc / disc.sum())


def motion(images: Pixels, seeds: Seeds, length: float) -> Pixels:
    """The mean along a line of this length in pixels, up to 45 degrees off the horizontal."""
    degrees = TURN * (2 * uniform(seeds, ()).to(images.dtype) - 1)
    angle, (height, width) = torch.deg2rad(degrees), images.shape[2:]
    still, count = torch.zeros_like(degrees), 2 * math.ceil(length) + 1
    total = torch.zeros_like(images)
    for step in range(count):
        by = length * (step / (count - 1) - 0.5)
        at = places(
            height, width, still, height / 2 + by * angle.sin(), width / 2 + by * angle.cos()
        )
        total += sampled(images, at, "border")
    return total / count


def zoom(images: Pixels, seeds: Seeds, factor: float) -> Pixels:
    """The mean of the image and ten of it enlarged up to this factor, about the middle."""
    still, (height, width) = images.new_zeros(len(images)), images.shape[2:]
    at = places(height, width, still, still + height / 2, still + width / 2)
    total = torch.zeros_like(images)
    for step in range(ZOOMS):
        total += sampled(images, at / (1 + (factor - 1) * step / (ZOOMS - 1)), "border")
    return total / ZOOMS


CORRUPTIONS.register("defocus_blur", paper=PAPER, summary="Out of focus")(
    Corruption(defocus, (0.7, 1.0, 1.5, 2.0, 2.7))
)
CORRUPTIONS.register("motion_blur", paper=PAPER, summary="In motion", draws=True)(
    Corruption(motion, (2.0, 3.0, 4.5, 6.0, 8.0))
)
CORRUPTIONS.register("zoom_blur", paper=PAPER, summary="While zooming")(
    Corruption(zoom, (1.1, 1.2, 1.3, 1.45, 1.6))
)

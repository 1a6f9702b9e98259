"""Images as numbers: float32 in [0, 1] for models, bytes for files."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-4


def to_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8, rounded to the nearest of 256 levels."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def to_unit(images: Tensor) -> Tensor:
    """Images in [0, 1], float32: uint8 divided by 255, floats as they are."""
    return images.float() if images.is_floating_point() else images.float() / 255


def outside(images: Tensor) -> str:
    """What is wrong with images that should be finite and in [0, 1], or empty."""
    low, high = float(images.min()), float(images.max())
    if low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return ""
    return f"expected images in [0, 1], got values from {low:.3g} to {high:.3g}"

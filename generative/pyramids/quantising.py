"""Coefficients to whole numbers and back, and images to bytes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.core.errors import UsageError

WHITE = 255


def rounded(values: Tensor, step: float) -> Tensor:
    """The nearest multiple of `step`, as its int64 number of steps. Raises UsageError for a step
    that is not above 0.
    """
    if not (math.isfinite(step) and step > 0):
        raise UsageError(f"`step`: expected a number above 0, such as 8, got {step}")
    return (values / step).round().long()


def restored(symbols: Tensor, step: float, like: Tensor) -> Tensor:
    """What the decoder makes of the numbers of steps."""
    return symbols.to(like) * step


def to_bytes(images: Tensor) -> Tensor:
    """Floats of which 255 is white as uint8: clipped before they are rounded, or a white that is
    overshot would come out black.
    """
    return images.clamp(0, WHITE).round().to(torch.uint8)

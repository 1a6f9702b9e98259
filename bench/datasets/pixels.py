"""Images as numbers: float32 in [0, 1] for models, bytes for files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

TOLERANCE = 1e-4
GREY = (0.299, 0.587, 0.114)
"""Red, green and blue in a grey: ITU-R BT.601, as Pillow has it."""


def in_channels(images: Tensor, channels: int) -> Tensor:
    """Images [n, 1 or 3, h, w] with one channel or three."""
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    weights = torch.tensor(GREY, device=images.device).reshape(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def channels_for(reads: Callable[[Tensor], bool], images: Tensor) -> int:
    """How many channels images [n, c, h, w] must have for a network: those that they have where it
    reads the first of them, or reads no other; else three of grey ones, and one of coloured ones
    that are grey in truth.
    """
    have = images.shape[1]
    if have not in (1, 3) or reads(images[:1]):
        return have
    grey = have == 1 or bool((images == images[:, :1]).all())
    return 4 - have if grey and reads(in_channels(images[:1], 4 - have)) else have


def told_channels(have: int, given: int) -> str:
    """What to say of images that were brought to other channels; empty where they were not."""
    kinds = {1: "grey", 3: "colour"}
    if have == given:
        return ""
    return f"the {kinds[have]} images were given to the classifier as {kinds[given]}"


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


def is_deep(image: Tensor) -> bool:
    """Whether 256 levels are too few for an image in [0, 1]."""
    return not torch.equal(to_bytes(image).float() / 255, image)


def changed(image: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """An image [1 or 3, h, w] in [0, 1] as Pillow changes it: as bytes where 256 levels hold it,
    else channel by channel as floats.
    """
    if is_deep(image):
        planes = [np.asarray(change(Image.fromarray(plane.numpy()))) for plane in image]
        return torch.from_numpy(np.stack(planes)).clamp(0, 1)
    pixels = to_bytes(image).permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    found = torch.from_numpy(np.array(change(picture), dtype=np.float32) / 255)
    return found[None] if found.ndim == 2 else found.permute(2, 0, 1).contiguous()

"""Elastic distortion, pixelation, compression."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from attacks.contracts import Seeds
from attacks.corruptions.blur import convolved
from attacks.corruptions.contracts import CORRUPTIONS, PAPER, Corruption
from attacks.pixels import Pixels
from attacks.streams import normal
from attacks.warps import places, sampled

SMOOTH = 0.1
"""The standard deviation of the kernel that smooths a distortion, as a share of the side."""


def elastic(images: Pixels, seeds: Seeds, pixels: float) -> Pixels:
    """Each pixel seen somewhere else: a smooth random field, of this root mean square in pixels."""
    height, width = images.shape[2:]
    deviation = SMOOTH * max(height, width)
    half = math.ceil(2 * deviation)
    steps = torch.arange(-half, half + 1, dtype=torch.float64)
    bell = (-(steps / deviation).square() / 2).exp()
    field = normal(seeds, (2, height, width)).double()
    field = convolved(convolved(field, _alone(bell, 0)), _alone(bell, 1))
    size = field.square().sum(1).mean((1, 2)).sqrt()[:, None, None, None]
    field = (pixels * field / size.clamp_min(1e-12)).to(images.dtype)
    still = images.new_zeros(len(images))
    at = places(height, width, still, still + height / 2, still + width / 2)
    return sampled(images, at + field.permute(0, 2, 3, 1), "border")


def _alone(bell: torch.Tensor, axis: int) -> torch.Tensor:
    """A kernel along one axis, square so that it has a middle."""
    kernel = bell.new_zeros(len(bell), len(bell))
    middle = len(bell) // 2
    kernel[(slice(None), middle) if axis == 0 else (middle,)] = bell / bell.sum()
    return kernel


def pixelate(images: Pixels, seeds: Seeds, share: float) -> Pixels:
    """The mean of cells, of which there are this share of the pixels down and across."""
    height, width = images.shape[2:]
    cells = (max(round(share * height), 1), max(round(share * width), 1))
    return interpolate(adaptive_avg_pool2d(images, cells), size=(height, width))


def jpeg(images: Pixels, seeds: Seeds, quality: float) -> Pixels:
    """Bytes, compressed at this quality from 1 to 100 and read again; on the CPU."""
    pictures = (images * 255).round().to(torch.uint8).cpu().permute(0, 2, 3, 1).numpy()
    read = np.stack([_as_jpeg(picture, int(quality)) for picture in pictures])
    return torch.from_numpy(read).to(images).permute(0, 3, 1, 2) / 255


def _as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Bytes [height, width, channels], colour as such, other channels one by one."""
    if picture.shape[2] == 3:
        return _read(Image.fromarray(picture), quality)
    channels = [_read(Image.fromarray(channel), quality) for channel in np.moveaxis(picture, 2, 0)]
    return np.stack(channels, 2)


def _read(picture: Image.Image, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer, formats=("JPEG",)))


CORRUPTIONS.register("elastic_transform", paper=PAPER, summary="Elastic distortion", draws=True)(
    Corruption(elastic, (0.4, 0.8, 1.2, 1.6, 2.2))
)
CORRUPTIONS.register("pixelate", paper=PAPER, summary="Larger pixels")(
    Corruption(pixelate, (0.75, 0.6, 0.45, 0.35, 0.25))
)
CORRUPTIONS.register("jpeg_compression", paper=PAPER, summary="JPEG compression")(
    Corruption(jpeg, (40.0, 25.0, 15.0, 10.0, 5.0))
)

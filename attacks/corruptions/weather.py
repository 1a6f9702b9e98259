"""Weather and light: fog, brightness, contrast."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from attacks.contracts import Seeds
from attacks.corruptions.contracts import CORRUPTIONS, PAPER, Corruption
from attacks.pixels import Pixels
from attacks.streams import uniform

ROUGHNESS = 2.0
"""How much less the fog varies at half the distance."""


def fog(images: Pixels, seeds: Seeds, thickness: float) -> Pixels:
    """A cloud of this height added, and all made as much darker as its top would be too bright."""
    height, width = images.shape[2:]
    cloud = plasma(seeds, max(height, width))[:, None, :height, :width].to(images.dtype)
    brightest = images.flatten(1).amax(1)[:, None, None, None]
    scale = torch.where(brightest > 0, brightest / (brightest + thickness), 1 / (1 + thickness))
    return (images + thickness * cloud) * scale


def plasma(seeds: Seeds, side: int) -> Float[Tensor, "batch size size"]:
    """A fractal from 0 to 1 by the diamond-square algorithm (Fournier, Fussell and Carpenter 1982)
    on a torus; its size is the next power of two.
    """
    size = 2 ** max((side - 1).bit_length(), 1)
    cloud = torch.zeros(len(seeds), size, size, dtype=torch.float64, device=seeds.device)
    step, varies = size, 1.0
    while step > 1:
        half = step // 2
        cells = (size // step, size // step)
        more = varies * (2 * uniform(seeds, (3, *cells), step).double() - 1)
        corners = cloud[:, ::step, ::step]
        rows = corners + corners.roll(-1, 1)
        middles = (rows + rows.roll(-1, 2)) / 4 + more[:, 0]
        cloud[:, half::step, half::step] = middles
        sides = corners + corners.roll(-1, 2) + middles + middles.roll(1, 1)
        cloud[:, ::step, half::step] = sides / 4 + more[:, 1]
        sides = corners + corners.roll(-1, 1) + middles + middles.roll(1, 2)
        cloud[:, half::step, ::step] = sides / 4 + more[:, 2]
        step, varies = half, varies / ROUGHNESS
    low = cloud.flatten(1).amin(1)[:, None, None]
    high = cloud.flatten(1).amax(1)[:, None, None]
    return (cloud - low) / (high - low).clamp_min(1e-12)


def brightness(images: Pixels, seeds: Seeds, more: float) -> Pixels:
    """So much more light: the largest channel (the value of HSV) grows by it, colours stay."""
    value = images.amax(1, keepdim=True)
    brighter = (value + more).clamp_max(1)
    return torch.where(value > 0, images * (brighter / value.clamp_min(1e-12)), brighter)


def contrast(images: Pixels, seeds: Seeds, kept: float) -> Pixels:
    """This share of each channel's difference from its mean."""
    mean = images.mean((2, 3), keepdim=True)
    return mean + kept * (images - mean)


CORRUPTIONS.register("fog", paper=PAPER, summary="Fog, a plasma fractal", draws=True)(
    Corruption(fog, (0.2, 0.4, 0.7, 1.0, 1.5))
)
CORRUPTIONS.register("brightness", paper=PAPER, summary="More light")(
    Corruption(brightness, (0.1, 0.2, 0.3, 0.4, 0.5))
)
CORRUPTIONS.register("contrast", paper=PAPER, summary="Less contrast")(
    Corruption(contrast, (0.75, 0.5, 0.4, 0.3, 0.15))
)

"""Input diversity: each image smaller by a chance of its own, at a place of its own."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from attacks.contracts import Seeds
from attacks.pixels import Pixels
from attacks.streams import integers, uniform

Lengths = Int[Tensor, " batch"]


def diverse(
    images: Pixels, seeds: Seeds, *purpose: int, probability: float, smallest: float
) -> Pixels:
    """Xie et al. 2019, section 3.3: with `probability` an image is shrunk to a random share of at
    least `smallest` of its height and width (nearest neighbour) and padded with zeros at random;
    a gradient passes. The paper enlarges the canvas from 299 to 330; here it keeps its size, for
    networks that take one alone, and the image shrinks by as much.
    """
    height, width = images.shape[2:]
    least = max(int(smallest * height), 1)
    rows = least + integers(seeds, height - least + 1, *purpose, 0)
    kept = uniform(seeds, (), *purpose, 1) >= probability
    rows = torch.where(kept, height, rows)
    columns = (rows * width / height).round().long().clamp(1, width)
    top = integers(seeds, height - rows + 1, *purpose, 2)
    left = integers(seeds, width - columns + 1, *purpose, 3)
    return placed(images, rows, columns, top, left)


def placed(images: Pixels, rows: Lengths, columns: Lengths, top: Lengths, left: Lengths) -> Pixels:
    """Each image in `rows` x `columns` pixels of a black canvas of its size."""
    down, inside = _source(rows, top, images.shape[2])
    across, within = _source(columns, left, images.shape[3])
    shrunk = images.gather(2, down[:, None, :, None].expand_as(images))
    shrunk = shrunk.gather(3, across[:, None, None].expand_as(images))
    seen = inside[:, None, :, None] & within[:, None, None]
    return torch.where(seen, shrunk, 0.0)


def _source(length: Lengths, start: Lengths, side: int) -> tuple[Tensor, Tensor]:
    """Which pixel of the image each place of the canvas shows, and whether it shows any."""
    steps = torch.arange(side, device=length.device) - start[:, None]
    inside = (steps >= 0) & (steps < length[:, None])
    shown = torch.div(steps * side, length[:, None], rounding_mode="floor")
    return shown.clamp(0, side - 1), inside

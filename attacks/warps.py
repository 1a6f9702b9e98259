"""Images seen through an affine map: each turned, scaled and moved by numbers of its own."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from attacks.norms import PerImage
from attacks.pixels import Pixels

Beyond = Literal["zeros", "border"]
Places = Float[Tensor, "batch height width 2"]


def places(height: int, width: int, degrees: PerImage, down: PerImage, across: PerImage) -> Places:
    """Where each pixel of a canvas lies from a point of it (`down` and `across` of its upper left
    corner, in pixels), in axes that are turned by `degrees`, counted clockwise: (across, down).
    """
    rows = torch.arange(height, dtype=degrees.dtype, device=degrees.device) + 0.5
    columns = torch.arange(width, dtype=degrees.dtype, device=degrees.device) + 0.5
    y = (rows - down[:, None])[:, :, None]
    x = (columns - across[:, None])[:, None]
    angle = torch.deg2rad(degrees)[:, None, None]
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine * x + sine * y, cosine * y - sine * x], 3)


def sampled(images: Pixels, at: Places, beyond: Beyond = "zeros") -> Pixels:
    """What images show at some places (across and down from their middle, in pixels): bilinear
    between the middles of pixels, black beyond their edge, or the nearest pixel of its "border".
    """
    height, width = images.shape[2:]
    scale = torch.tensor([2 / width, 2 / height], dtype=at.dtype, device=at.device)
    return grid_sample(images, at * scale, padding_mode=beyond, align_corners=False)


def warped(images: Pixels, degrees: PerImage, down: PerImage, across: PerImage) -> Pixels:
    """Each image turned clockwise about its middle by `degrees`, then moved down and across by so
    many pixels; black comes in from outside. Where all three are 0 it is as it was, to the bit.
    """
    height, width = images.shape[2:]
    at = places(height, width, degrees, height / 2 + down, width / 2 + across)
    same = ((degrees == 0) & (down == 0) & (across == 0))[:, None, None, None]
    return torch.where(same, images, sampled(images, at.to(images.dtype)))

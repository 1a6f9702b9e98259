"""Networks that draw what a finer image has beyond a coarse one, given it and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.networks import Shape
from generative.training import Bounds

BLOCK = 2
"""A pixel of the coarse image is a block of so many by so many of the fine one."""


def noise_size(coarse: Shape) -> int:
    """Values of the noise plane, as large as a fine image of even sides."""
    return BLOCK * coarse[1] * BLOCK * coarse[2]


@dataclass(frozen=True)
class Refiner:
    """Convolutions that keep the size, ReLU between them, nothing after the last (Denton et al.
    2015): of the coarse image and a plane of noise to the residual.

    refiner_width: of the hidden layers. kernels: one more than there are hidden layers. Deviations:
    all layers work on the coarse grid, where a block of four noise values or residuals is four
    channels (Shi et al. 2016), at a quarter of the products; the authors' have kernels of 7, 7 and
    5 on the fine grid, and 64 channels; the coarse image is in [-1, 1] inside.
    """

    refiner_width: Annotated[int, Bounds(1, 4_096)] = 32
    kernels: tuple[int, ...] = (5, 5, 5)

    def build(self, coarse: Shape, fine: Shape) -> Refinement:
        """Of images of these shapes, (channels, h, w) each, with PyTorch's initial weights."""
        channels, folded = coarse[0], BLOCK * BLOCK
        widths = [channels + folded, *[self.refiner_width] * (len(self.kernels) - 1)]
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in zip(
            widths, [*widths[1:], channels * folded], self.kernels, strict=True
        ):
            layers += [nn.ReLU()] if layers else []
            layers.append(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))
        return Refinement(nn.Sequential(*layers), coarse, fine)


class Refinement(nn.Module):
    """Coarse images [n, c, h, w] and codes [n, 4 h w] to residuals of the fine shape."""

    def __init__(self, body: nn.Module, coarse: Shape, fine: Shape) -> None:
        super().__init__()
        self.body, self.coarse, self.fine = body, coarse, fine

    def forward(self, images: Float[Tensor, "n c h w"], codes: Float[Tensor, "n k"]) -> Tensor:
        height, width = self.coarse[1:]
        plane = codes.reshape(len(codes), 1, BLOCK * height, BLOCK * width)
        made = _unfolded(self.body(torch.cat([2 * images - 1, _folded(plane)], 1)))
        return made[..., : self.fine[1], : self.fine[2]]


def _folded(images: Tensor) -> Tensor:
    """The values of each block as channels of one pixel, [n, 4 c, h / 2, w / 2]. PyTorch's own
    function leaves a batch of no images as it is.
    """
    n, c, h, w = images.shape
    blocks = images.reshape(n, c, h // BLOCK, BLOCK, w // BLOCK, BLOCK)
    return blocks.permute(0, 1, 3, 5, 2, 4).reshape(n, c * BLOCK**2, h // BLOCK, w // BLOCK)


def _unfolded(images: Tensor) -> Tensor:
    """The other way round."""
    n, c, h, w = images.shape
    blocks = images.reshape(n, c // BLOCK**2, BLOCK, BLOCK, h, w)
    return blocks.permute(0, 1, 4, 2, 5, 3).reshape(n, c // BLOCK**2, h * BLOCK, w * BLOCK)

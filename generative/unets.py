"""A U-Net that is told a time: images to images, coarse and fine (Ronneberger et al. 2015)."""

from __future__ import annotations

from math import gcd

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

Images = Float[Tensor, "n inputs h w"]
Made = Float[Tensor, "n outputs h w"]
Told = Float[Tensor, "n told"]
GROUPS = 8
"""Of channels that are normalised together, where so many divide them."""
SIDE = 14
"""The fewest places a side that patches leave."""


def patch_side(height: int, width: int) -> int:
    """The side of the squares of pixels that stand in one place: the largest power of 2 that
    divides both sides and leaves each at least 14.
    """
    side = 1
    while not (height % (2 * side) or width % (2 * side)) and min(height, width) >= 2 * side * SIDE:
        side *= 2
    return side


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(gcd(GROUPS, channels), channels)


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """A layer that begins at 0."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """Two convolutions beside a way around them; between them channels are scaled and shifted by
    what the network is told.
    """

    def __init__(self, inputs: int, outputs: int, told: int) -> None:
        super().__init__()
        self.first_norm, self.first = _norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second_norm = _norm(outputs)
        self.second = _silent(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.told = nn.Linear(told, 2 * outputs)
        self.around = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Images, told: Told) -> Made:
        scale, shift = self.told(told)[:, :, None, None].chunk(2, 1)
        seen = self.first(silu(self.first_norm(x)))
        seen = self.second(silu(self.second_norm(seen) * (1 + scale) + shift))
        return self.around(x) + seen


class Unet(nn.Module):
    """Images [n, inputs, h, w] and what is told of each, [n, told], to images of as many pixels:
    `width` channels at places of `patch` x `patch` pixels, twice as many at half the sides, with a
    way across. It begins as 0. Deviations: one halving, no attention.
    """

    def __init__(self, inputs: int, outputs: int, width: int, told: int, patch: int) -> None:
        super().__init__()
        own, made, size = inputs * patch**2, outputs * patch**2, 4 * width
        self.told = nn.Sequential(nn.Linear(told, size), nn.SiLU(), nn.Linear(size, size))
        self.into = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(own, width, 3, padding=1))
        self.fine = Block(width, width, size)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.coarse = nn.ModuleList(Block(2 * width, 2 * width, size) for _ in range(2))
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.finer = Block(2 * width, width, size)
        last = _silent(nn.Conv2d(width, made, 3, padding=1))
        self.out = nn.Sequential(_norm(width), nn.SiLU(), last, nn.PixelShuffle(patch))

    def forward(self, x: Images, told: Told) -> Made:
        seen = silu(self.told(told))
        fine = self.fine(self.into(x), seen)
        coarse = self.down(fine)
        for block in self.coarse:
            coarse = block(coarse, seen)
        wide = self.up(interpolate(coarse, fine.shape[2:]))
        return self.out(self.finer(torch.cat([fine, wide], 1), seen))

"""Noise inputs (Karras et al. 2019, section 2): what no style decides."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

Plane = Float[Tensor, "n 1 h w"]


class Noise(nn.Module):
    """A plane of noise is added to every channel, times a number that is learned and 0 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, plane: Plane) -> Tensor:
        return x + self.strength * plane


def noise_size(sizes: Sequence[tuple[int, int]]) -> int:
    """How many numbers the planes of such sizes are."""
    return sum(map(prod, sizes))


def planes(noise: Float[Tensor, "n numbers"], sizes: Sequence[tuple[int, int]]) -> list[Plane]:
    """Noise as planes, one after another."""
    parts = noise.split([prod(size) for size in sizes], 1)
    return [part.unflatten(1, (1, *size)) for part, size in zip(parts, sizes, strict=True)]

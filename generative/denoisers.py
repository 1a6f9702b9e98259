"""Networks that are told a time: what denoises in diffusion, what flows in flow matching."""

from __future__ import annotations

from abc import abstractmethod
from math import pi, prod
from typing import final

import torch
from torch import Tensor

from generative.games.solo import Standardised
from generative.networks import Mlp, Shape
from generative.unets import Unet, patch_side
from generative.waves import waves

FREQUENCIES = 16


class Timed(Standardised):
    """F(inputs, x, c), [n, d]: of inputs [n, d], x [n, d], and c [n], the time, seen as sin and cos
    of 2 pi f c for 16 random f ~ N(0, band^2).
    """

    frequencies: Tensor

    def __init__(self, shape: Shape, band: float) -> None:
        super().__init__(shape)
        self.band = band
        self.register_buffer("frequencies", torch.zeros(FREQUENCIES))

    @final
    def begin(self, rng: torch.Generator) -> None:
        drawn = torch.randn(FREQUENCIES, generator=rng, device=rng.device)
        self.frequencies.copy_(self.band * drawn)

    @final
    def times(self, c: Tensor) -> Tensor:
        """What it sees of the time, [n, 32]."""
        angles = 2 * pi * c[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], 1)

    @abstractmethod
    def forward(self, inputs: Tensor, x: Tensor, c: Tensor) -> Tensor: ...


@final
class TimedDense(Timed):
    """Dense layers of all values, and of waves of x, so many or none."""

    def __init__(self, layers: Mlp, shape: Shape, count: int, band: float) -> None:
        super().__init__(shape, band)
        self.count, size = count, prod(shape)
        self.body = layers.build(size * (1 + 2 * count) + 2 * FREQUENCIES, size)

    def forward(self, inputs: Tensor, x: Tensor, c: Tensor) -> Tensor:
        seen = [inputs, self.times(c)]
        return self.body(torch.cat([*seen, waves(x, self.count)] if self.count else seen, 1))


@final
class TimedUnet(Timed):
    """A U-Net of images, of so many channels at the finest, and of waves of x."""

    def __init__(self, width: int, shape: Shape, count: int, band: float) -> None:
        super().__init__(shape, band)
        self.count, (channels, *sides) = count, shape
        seen = channels * (1 + 2 * count)
        self.body = Unet(seen, channels, width, 2 * FREQUENCIES, patch_side(*sides))

    def forward(self, inputs: Tensor, x: Tensor, c: Tensor) -> Tensor:
        seen = inputs.unflatten(1, self.shape)
        if self.count:
            planes = waves(x, self.count).unflatten(1, (2, *self.shape, self.count))
            seen = torch.cat([seen, planes.movedim(-1, 2).flatten(1, 3)], 1)
        return self.body(seen, self.times(c)).flatten(1)

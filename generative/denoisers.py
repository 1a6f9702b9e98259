"""Networks that are told a time: what denoises in diffusion, what flows in flow matching."""

from __future__ import annotations

from math import pi, prod

import torch
from torch import Tensor

from generative.games.solo import Standardised
from generative.networks import Mlp, Shape
from generative.waves import waves

FREQUENCIES = 16


class Timed(Standardised):
    """F(inputs, x, c), [n, d]: of inputs [n, d], waves of x [n, d], and c [n], the time, seen as
    sin and cos of 2 pi f c for 16 random f ~ N(0, band^2). count: of waves, 0 for none.
    """

    frequencies: Tensor

    def __init__(self, layers: Mlp, shape: Shape, count: int, band: float) -> None:
        super().__init__(shape)
        self.count, self.band, size = count, band, prod(shape)
        self.register_buffer("frequencies", torch.zeros(FREQUENCIES))
        self.body = layers.build(size * (1 + 2 * count) + 2 * FREQUENCIES, size)

    def begin(self, rng: torch.Generator) -> None:
        drawn = torch.randn(FREQUENCIES, generator=rng, device=rng.device)
        self.frequencies.copy_(self.band * drawn)

    def forward(self, inputs: Tensor, x: Tensor, c: Tensor) -> Tensor:
        angles = 2 * pi * c[:, None] * self.frequencies
        seen = [inputs, angles.sin(), angles.cos()]
        return self.body(torch.cat([*seen, waves(x, self.count)] if self.count else seen, 1))

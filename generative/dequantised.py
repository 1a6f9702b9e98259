"""Densities of pixels: noise fills the steps between levels, logits the line (Dinh et al. 2017)."""

from __future__ import annotations

from math import log, prod
from typing import final

import torch
from torch import Tensor

from generative.contracts import Images, PerExample
from generative.densities import Dense
from generative.networks import Shape
from generative.pixels import PixelNetwork, levels_of, steps_of

ALPHA = 0.05
"""How far from 0 and 1 logits are taken: of alpha + (1 - 2 alpha) y."""


@final
class Dequantised(PixelNetwork):
    """A density of y = (k + u) / levels, u uniform on [0, 1), for pixels of level k: the density
    `body` has of logits of y. Of a pixel that never changes it can't say so: it pays for the noise.
    """

    def __init__(self, body: Dense, shape: Shape) -> None:
        super().__init__(shape)
        assert body.shape == (prod(shape),)
        self.body = body

    def begin(self, rng: torch.Generator) -> None:
        self.body.begin(rng)

    def fit(self, examples: Tensor) -> None:
        """Take the levels of training images, and the units of their logits."""
        levels = levels_of(examples)
        self.levels.fill_(levels)
        self.body.fit(_logits((steps_of(examples.flatten(1), levels) + 0.5) / levels)[0])

    def dequantised(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """y of flat images [n, d] in [0, 1]."""
        noise = torch.rand(x.shape, generator=rng, device=x.device).to(x.dtype)
        return (steps_of(x, int(self.levels)) + noise) / self.levels

    @property
    def passes(self) -> int:
        return self.body.passes

    def log_density(self, y: Tensor) -> PerExample:
        """Of dequantised images [n, d], in nats per unit volume."""
        logits, volume = _logits(y)
        return self.body.log_prob(logits) + volume

    def likelihood(self, x: Tensor, rng: torch.Generator) -> PerExample:
        return self.log_density(self.dequantised(x, rng))

    def log_mass(self, x: Images, rng: torch.Generator, draws: int) -> PerExample:
        """The log of the mean over draws of u of the density of y, times the volume of a step."""
        flat, steps = x.flatten(1), self.levels.double().log()
        each = [self.log_density(self.dequantised(flat, rng)) for _ in range(draws)]
        return torch.stack(each).logsumexp(0) - log(draws) - flat.shape[1] * steps

    def draw(self, n: int, rng: torch.Generator) -> Images:
        y = (self.body.outer(self.body.draw(n, rng)).sigmoid() - ALPHA) / (1 - 2 * ALPHA)
        levels = int(self.levels)
        return self.outer((y * levels).floor().clamp(0, levels - 1) / (levels - 1))


def _logits(y: Tensor) -> tuple[Tensor, PerExample]:
    """Of y [n, d] in [0, 1], and the log volume of their change, [n]."""
    inside = ALPHA + (1 - 2 * ALPHA) * y
    low, high = inside.log(), (1 - inside).log()
    return low - high, (log(1 - 2 * ALPHA) - low - high).sum(1)

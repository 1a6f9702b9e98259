"""Fourier features of examples: what lets a dense network see structure finer than the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi, prod

import torch
from torch import Tensor, nn

from generative.measured import Measured
from generative.networks import Mlp, Network, Shape


def waves(x: Tensor, count: int) -> Tensor:
    """sin and cos of k pi x / 2 for k = 1 to `count`, [n, 2 d count] of [n, d]; x is expected to
    have a standard deviation of about 1, so that the longest wave is four of them.
    """
    steps = torch.arange(1, count + 1, device=x.device, dtype=x.dtype) * (pi / 2)
    angles = (x[:, :, None] * steps).flatten(1)
    return torch.cat([angles.sin(), angles.cos()], 1)


class Waves(Measured):
    """Examples [n, d] and their waves, [n, d (1 + 2 count)], in units of the training examples'
    standard deviation about their mean: one number each over all values.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, examples: Tensor) -> None:
        """Take the units from training examples."""
        values = examples.double()
        self.centre.copy_(values.mean())
        self.scale.copy_((values - values.mean()).square().mean().sqrt())

    def forward(self, x: Tensor) -> Tensor:
        units = (x - self.centre) / self.scale
        return torch.cat([units, waves(units, self.count)], 1)


@dataclass(frozen=True)
class Waved(Network):
    """A multilayer perceptron whose critics and encoders see waves of examples, too; its generators
    are without.
    """

    body: Mlp
    count: int = 12

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        return self.body.generator(latent, shape)

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        inputs = prod(shape) * (1 + 2 * self.count)
        flat = [nn.Flatten()] if len(shape) > 1 else []
        body = self.body.build(inputs, outputs, self.body.dropout)
        return nn.Sequential(*flat, Waves(self.count), body)

    @property
    def mixes(self) -> bool:
        return self.body.mixes

    def unmixed(self) -> Waved:
        return replace(self, body=self.body.unmixed())

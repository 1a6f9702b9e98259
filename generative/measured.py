"""Layers that take their units from the training examples, and networks that have such."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor, nn

from generative.contracts import Data
from generative.networks import Mlp, Network, Shape


class Measured(nn.Module, ABC):
    """A layer with buffers that are no weights."""

    @abstractmethod
    def fit(self, examples: Tensor) -> None:
        """Take the units from training examples [n, ...]."""


def fit_measured(network: nn.Module, data: Data) -> None:
    """Take the units of every such layer of a network from the training examples."""
    for layer in network.modules():
        if isinstance(layer, Measured):
            layer.fit(data.training)


class Units(Measured):
    """Flat examples [n, d] less the mean training example, over the root mean square of what is
    left, one number over all values; backward, the examples that they stand for.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, values: int, backward: bool = False) -> None:
        super().__init__()
        self.backwards = backward
        self.register_buffer("centre", torch.zeros(values))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, examples: Tensor) -> None:
        values = examples.flatten(1).double()
        self.centre.copy_(values.mean(0))
        self.scale.copy_((values - values.mean(0)).square().mean().sqrt())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.centre if self.backwards else (x - self.centre) / self.scale


@dataclass(frozen=True)
class Centred(Network):
    """A multilayer perceptron in units in which training examples have a mean of 0 and their values
    a mean variance of 1. Outputs are linear: images may leave [0, 1].
    """

    body: Mlp

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        values = prod(shape)
        made = nn.Sequential(self.body.build(latent, values), Units(values, backward=True))
        return made if len(shape) == 1 else made.append(nn.Unflatten(1, shape))

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        values = prod(shape)
        body = self.body.build(values, outputs, self.body.dropout)
        return nn.Sequential(nn.Flatten(), Units(values), body)

    @property
    def mixes(self) -> bool:
        return self.body.mixes

    def unmixed(self) -> Centred:
        return replace(self, body=self.body.unmixed())

"""What models with an exact density share: samples, and log densities in double precision."""

from __future__ import annotations

import copy
from abc import abstractmethod
from math import log, pi
from typing import final

import numpy as np
import torch
from torch import Tensor

from generative.contracts import DensitySampler, PerExample, PerPoint, Points, Sampler
from generative.games.solo import Standardised
from generative.samplers import drawn_in_parts

CHUNK = 16_384


def log_normal(x: Tensor) -> Tensor:
    """Log density of N(0, 1) at each value, in nats."""
    return -(x.square() + log(2 * pi)) / 2


class Likely(Standardised):
    """A network that says how likely examples are."""

    @abstractmethod
    def likelihood(self, x: Tensor, rng: torch.Generator) -> PerExample:
        """The logarithm of it, or a bound by a draw of noise, of x [n, d] in its units; in nats."""

    @abstractmethod
    def fitted(self) -> Sampler:
        """Its model."""


class Dense(Likely):
    """A network with a density in its own units."""

    @property
    @abstractmethod
    def passes(self) -> int:
        """Of the network, one after another, for a sample."""

    @abstractmethod
    def log_density(self, x: Tensor) -> PerExample:
        """Of x [n, d] in these units, in nats per unit volume, [n]."""

    @abstractmethod
    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` samples in these units, [n, d]."""

    @final
    def likelihood(self, x: Tensor, rng: torch.Generator) -> PerExample:
        return self.log_density(x)

    @final
    def fitted(self) -> DenseSampler:
        return DenseSampler(self)

    def log_prob(self, x: Tensor) -> PerExample:
        """Of examples [n, *shape] in their own units: each is `scale` times as long."""
        return self.log_density(self.inner(x)) - x[0].numel() * self.scale.log()


@final
class DenseSampler(DensitySampler):
    """The model of such a network."""

    def __init__(self, network: Dense) -> None:
        self._network, self.passes = network, network.passes

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        with torch.no_grad():
            return drawn_in_parts(
                n,
                self._network.shape,
                lambda size: self._network.outer(self._network.draw(size, rng)),
            )

    def log_prob(self, x: Points) -> PerPoint:
        exact = copy.deepcopy(self._network).double()
        device = exact.scale.device
        points = torch.as_tensor(np.asarray(x, dtype=np.float64), device=device)
        with torch.no_grad():
            parts = [exact.log_prob(part) for part in points.split(CHUNK) if len(part)]
        return torch.cat([*parts, points.new_empty(0)]).cpu().numpy()

    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._network.state_dict().items()}

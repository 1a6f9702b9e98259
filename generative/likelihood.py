"""Maximum likelihood: the objective of every model that says how likely examples are."""

from __future__ import annotations

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from generative.contracts import PerExample, Sampler
from generative.densities import Likely
from generative.games.solo import Objective
from generative.networks import Network, Shape


class Likelihood(Objective):
    """Minus the log likelihood of each example, in nats."""

    @abstractmethod
    def network(self, layers: Network, shape: Shape) -> Likely:
        """Of points a density, of images a network that knows their levels."""

    @final
    def loss(self, network: Likely, x: Tensor, rng: torch.Generator) -> PerExample:
        return -network.likelihood(x, rng)

    @final
    def fitted(self, network: Likely, box: tuple[float, float] | None) -> Sampler:
        return network.fitted()

"""Noise that a network with a sense of time carries to examples, evaluation by evaluation."""

from __future__ import annotations

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from generative.contracts import Sampler
from generative.denoisers import Timed, TimedDense, TimedUnet
from generative.games.solo import hidden_layers
from generative.networks import Dcgan, Network, Shape
from generative.samplers import drawn_in_parts

EVALUATIONS = "evaluations"
"""Of the network for a sample: kept with its weights."""


def timed(layers: Network, shape: Shape, waves: int, band: float, evaluations: int) -> Timed:
    """A network that knows how many evaluations a sample of it takes: convolutions where the layers
    are such, as wide at the finest.
    """
    network: Timed = (
        TimedUnet(layers.width, shape, waves, band)
        if isinstance(layers, Dcgan)
        else TimedDense(hidden_layers(layers), shape, waves, band)
    )
    network.register_buffer(EVALUATIONS, torch.tensor(evaluations))
    return network


class Carried(Sampler):
    """Samples of a trained one, clipped to the data's box."""

    def __init__(self, network: Timed, box: tuple[float, float] | None) -> None:
        self._network, self._box = network, box
        self.passes = int(network.get_buffer(EVALUATIONS))

    @abstractmethod
    def carry(self, noise: Tensor, rng: torch.Generator) -> Tensor:
        """Standard normal noise [n, d] to examples [n, d] in the network's units."""

    @final
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        with torch.no_grad():
            return drawn_in_parts(n, self._network.shape, lambda size: self._draw(size, rng))

    def _draw(self, n: int, rng: torch.Generator) -> Tensor:
        d = len(self._network.centre)
        noise = torch.randn(n, d, generator=rng, device=rng.device)
        return self.boxed(self._network.outer(self.carry(noise, rng)))

    @final
    def boxed(self, examples: Tensor) -> Tensor:
        """Clipped to where the data lie."""
        return examples if self._box is None else examples.clamp(*self._box)

    @final
    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._network.state_dict().items()}

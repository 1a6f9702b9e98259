"""A network that is trained by itself: one player, one objective, nobody to beat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from generative.contracts import Batches, Data, PerExample, Sampler
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.networks import Mlp, Network, Shape
from generative.protocols.base import Protocol
from generative.samplers import load_weights
from generative.waves import Waved

MODEL = "model"
IMAGE_LAYERS = Mlp((256, 256, 256), "silu")


def hidden_layers(network: Network) -> Mlp:
    """The hidden layers of a protocol's generator with SiLU for its activation, or 3 x 256 where it
    is not dense.
    """
    if isinstance(network, Waved):
        return hidden_layers(network.body)
    if not isinstance(network, Mlp):
        return IMAGE_LAYERS
    return Mlp(network.widths, "silu")


class Standardised(nn.Module, ABC):
    """A network that works on flat examples in units of the training examples: centre [d] is their
    mean, scale the root mean square of what is left over all values.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("centre", torch.zeros(prod(shape)))
        self.register_buffer("scale", torch.ones(()))

    @abstractmethod
    def begin(self, rng: torch.Generator) -> None:
        """Draw what is drawn once and never trained."""

    def fit(self, examples: Tensor) -> None:
        """Take the units from training examples [n, *shape]."""
        values = examples.flatten(1).double()
        self.centre.copy_(values.mean(0))
        spread = (values - values.mean(0)).square().mean().sqrt()
        self.scale.copy_(spread if bool(spread > 0) else torch.ones_like(spread))

    def inner(self, x: Tensor) -> Tensor:
        """Examples [n, *shape] in these units, [n, d]."""
        return (x.flatten(1) - self.centre) / self.scale

    def outer(self, x: Tensor) -> Tensor:
        """The examples that they stand for."""
        return (x * self.scale + self.centre).unflatten(1, self.shape)


class Objective(ABC):
    """What such a network is, minimises, and is good for. average: the decay of the moving average
    of its weights that is the model, 0 for the last weights.
    """

    average: float

    @abstractmethod
    def network(self, layers: Network, shape: Shape) -> Any:
        """A Standardised network made of such layers."""

    @abstractmethod
    def loss(self, network: Any, x: Tensor, rng: torch.Generator) -> PerExample:
        """Of examples [n, d] in the network's units."""

    @abstractmethod
    def fitted(self, network: Any, box: tuple[float, float] | None) -> Sampler:
        """The model of a trained network."""


@dataclass(frozen=True)
class Solo(Game):
    """Adam on the objective, over the training's steps; its rate falls to 0 over the second half.

    Rate, batch and Adam's betas are those of the protocol's generator.
    """

    objective: Objective
    layers: Network
    protocol: Protocol
    shape: Shape

    @property
    def moves(self) -> tuple[Move, ...]:
        adam, average = self.protocol.generator_adam, self.objective.average
        return (Move(MODEL, self._loss, adam, decay=0.5, average=average),)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        network = self.objective.network(self.layers, self.shape).to(data.device)
        if rng is not None:
            network.fit(data.training)
            network.begin(rng)
        return {MODEL: network}

    def batches(self, data: Data) -> Batches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _loss(self, table: Table) -> list[Summand]:
        x: Any = table.batches.next(self.protocol.batch)
        network: Any = table.players[MODEL]
        with table.passes():
            return [Summand(self.objective.loss(network, network.inner(x), table.rng))]

    def fitted(self, players: Players, data: Data) -> Sampler:
        return self.objective.fitted(players[MODEL].eval(), data.box)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        network = self.players(data, None)[MODEL].eval()
        load_weights(network, dict(tensors), "model")
        return self.objective.fitted(network, data.box)

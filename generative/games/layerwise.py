"""One layer learned by itself, on what the layers below make of the examples.

Greedy learning of deep networks (Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647): a game
a layer, one after another. Unrolled, the layers are an encoder and a decoder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.randomness import forked
from generative.boltzmann import Layer, Units
from generative.contracts import Autoencoder, Batches, Data, Sampler
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.encoding import Coder, Objective
from generative.games.wrapped import Wrapped
from generative.networks import Mlp
from generative.protocols.base import Optimiser, Protocol
from generative.samplers import load_weights

LAYER = "layer"


class Lesson(ABC):
    """What one layer minimises, and by which steps. layer_steps: how many. spread: the standard
    deviation of its first weights; 0 for 1 / sqrt(visible units).
    """

    layer_steps: int
    spread: float

    @property
    @abstractmethod
    def decay(self) -> float:
        """The share of a layer's steps, at their end, over which the rate falls to 0."""

    @abstractmethod
    def optimiser(self, protocol: Protocol, above: Units, steps: int) -> Optimiser:
        """Of a layer whose hidden units are such."""

    @abstractmethod
    def summands(self, layer: Layer, v: Tensor, rng: torch.Generator) -> list[Summand]:
        """Of values [n, visible] of the units below."""


@dataclass(frozen=True)
class Plan:
    """Layers as sizes. hidden: of each hidden layer, the code last. code: the units of the code;
    all others are logistic.
    """

    hidden: tuple[int, ...]
    code: Units

    def units(self, at: int) -> tuple[Units, Units]:
        """Below and above the layer of this number, counted from 0."""
        top: Units = self.code if at + 1 == len(self.hidden) else "logistic"
        return "logistic", top

    def coder(self, shape: tuple[int, ...], depth: int) -> Coder:
        """The lowest `depth` layers, unrolled: untied weights, yet to be given."""
        *between, code = self.hidden[:depth]
        up, down = (Mlp(tuple(each), "sigmoid") for each in (between, between[::-1]))
        with forked(0):  # weights that nobody will see are not to move the training's draws
            encoder, decoder = up.encoder(shape, code), down.generator(code, shape)
        if self.units(depth - 1)[1] == "logistic":
            encoder = nn.Sequential(encoder, nn.Sigmoid())
        return Coder(encoder, decoder, code)


def leaves(network: nn.Module) -> list[nn.Module]:
    """Its layers in the order in which they are passed."""
    if not isinstance(network, nn.Sequential):
        return [network]
    return [leaf for part in network for leaf in leaves(part)]


def weighted(network: nn.Module) -> list[nn.Linear]:
    """The layers that have weights, in order."""
    return [layer for layer in leaves(network) if isinstance(layer, nn.Linear)]


@torch.no_grad()
def unroll(coder: Coder, below: Coder | None, layer: Layer) -> None:
    """Give a coder the layers of one that is shallower by one, and this layer on top."""
    up, down = weighted(coder.encoder), weighted(coder.decoder)
    if below is not None:
        own = (*weighted(below.encoder), *weighted(below.decoder))
        for to, source in zip((*up[:-1], *down[1:]), own, strict=True):
            to.load_state_dict(source.state_dict())
    up[-1].weight.copy_(layer.weight)
    up[-1].bias.copy_(layer.hidden_bias)
    down[0].weight.copy_(layer.weight.T)
    down[0].bias.copy_(layer.visible_bias)


class Raised:
    """Batches as the layers below make of them, [n, units]."""

    def __init__(self, own: Batches, below: Autoencoder | None) -> None:
        self._own, self._below = own, below

    def next(self, n: int) -> Tensor:
        x = self._own.next(n)
        return x.flatten(1) if self._below is None else self._below.encode(x).clone()

    def position(self) -> dict[str, Tensor]:
        return self._own.position()

    def seek(self, position: dict[str, Tensor]) -> None:
        self._own.seek(position)


@dataclass(frozen=True)
class Layerwise(Game):
    """The learning of layer `at` of a plan. below: the model of the layers under it, None where it
    is the first. The model is that of all layers so far, unrolled; `whole` says how it encodes.

    Its protocol's batch is its own; its steps are those of one layer.
    """

    plan: Plan
    at: int
    lesson: Lesson
    whole: Objective
    protocol: Protocol
    shape: tuple[int, ...]
    below: Autoencoder | None

    @property
    def moves(self) -> tuple[Move, ...]:
        above = self.plan.units(self.at)[1]
        optimiser = self.lesson.optimiser(self.protocol, above, self.protocol.steps)
        return (Move(LAYER, self._loss, optimiser, decay=self.lesson.decay),)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        visible, hidden = self._sizes
        layer = Layer(visible, hidden, self.plan.units(self.at)).to(data.device)
        if rng is not None:
            layer.begin(self.lesson.spread or visible**-0.5, rng)
        return {LAYER: layer}

    @property
    def _sizes(self) -> tuple[int, int]:
        return list(pairwise((prod(self.shape), *self.plan.hidden)))[self.at]

    def batches(self, data: Data) -> Batches:
        return Raised(data.batches(), self.below)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _loss(self, table: Table) -> list[Summand]:
        v: Any = table.batches.next(self.protocol.batch)
        with table.passes():
            layer: Any = table.players[LAYER]
            return self.lesson.summands(layer, v, table.rng)

    def fitted(self, players: Players, data: Data) -> Sampler:
        layer, coder = players[LAYER], self._coder(data)
        assert isinstance(layer, Layer)
        unroll(coder, self._below(data), layer)
        with torch.inference_mode():
            self.whole.settle(coder, data)
        return self.whole.fitted(coder, data.box)

    def _coder(self, data: Data) -> Coder:
        return self.plan.coder(self.shape, self.at + 1).to(data.device).eval()

    def _below(self, data: Data) -> Coder | None:
        if self.below is None:
            return None
        coder = self.plan.coder(self.shape, self.at).to(data.device)
        load_weights(coder, self.below.tensors(), "layers below")
        return coder

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        coder = self._coder(data)
        load_weights(coder, dict(tensors), "model")
        return self.whole.fitted(coder, data.box)


@dataclass(frozen=True)
class Unrolled(Wrapped):
    """A game whose player starts from the weights of a model of as many layers."""

    own: Game
    player: str
    start: Mapping[str, Tensor]

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        players = self.own.players(data, rng)
        load_weights(players[self.player], dict(self.start), "model")
        return players

    def batches(self, data: Data) -> Any:
        return self.own.batches(data)

    def fitted(self, players: Players, data: Data) -> Any:
        return self.own.fitted(players, data)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Any:
        return self.own.restored(data, tensors)

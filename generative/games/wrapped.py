"""A game that is played as another one, on other data, from another start or to another model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from generative.contracts import Batches, Contested, Data, Decoder, Fitted, LabelledBatches
from generative.games.adversarial import Adversarial
from generative.games.base import Game, Memory, Move, Players
from generative.games.turns import CRITIC, GENERATOR
from generative.samplers import GeneratorSampler, load


class Wrapped(Game):
    """Moves, protocol and memory are those of its own game; players, batches and the model are said
    by who wraps it.
    """

    own: Any
    """The game that is played: a `Game`, of the kind its wrapper needs."""

    @property
    @final
    def protocol(self) -> Any:
        return self.own.protocol

    @property
    @final
    def moves(self) -> tuple[Move, ...]:
        return self.own.moves

    @final
    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.own.memory(data, rng)


@dataclass(frozen=True)
class WrappedGan(Wrapped):
    """A GAN, played as it is, whose critic says more in the end than what is real."""

    own: Adversarial

    @abstractmethod
    def model(self, own: GeneratorSampler, critic: nn.Module) -> Contested:
        """The finished one. own: the generator, and the critic as it judges."""

    @final
    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self.own.players(data, rng)

    @final
    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.own.batches(data)

    @final
    def fitted(self, players: Players, data: Data) -> Contested:
        generator, critic = players[GENERATOR], players[CRITIC]
        own = GeneratorSampler(generator, critic, self.protocol, self.own.shape)
        return self.model(own, critic)

    @final
    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Contested:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)


class Extended(Game):
    """A game whose players minimise something else, too: moves, and how players start, are said by
    who extends it, all else is that game's.
    """

    own: Any
    """The game that is extended: a `Game`, of the kind its extension needs."""

    @final
    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.own.batches(data)

    @final
    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.own.memory(data, rng)

    @final
    def fitted(self, players: Players, data: Data) -> Fitted:
        return self.own.fitted(players, data)


@dataclass(frozen=True)
class ExtendedGan(Extended):
    """A GAN whose players start as its own, and minimise something else, too."""

    own: Adversarial

    @final
    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self.own.players(data, rng)

    @final
    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Decoder:
        return self.own.restored(data, tensors)

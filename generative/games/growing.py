"""A level of a GAN that grows: it begins with the weights of the coarser ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from generative.coarsetofine import brought
from generative.contracts import Batches, Codes, Data, Decoder
from generative.games.adversarial import Adversarial
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR
from generative.growing.fading import Fading, alpha_at, fade, faded
from generative.networks import Shape
from generative.pyramids.box import doubled
from generative.samplers import GeneratorSampler, load


class Faded:
    """Batches of images halved so many times, as a level that comes in sees them."""

    def __init__(self, own: Batches, times: int) -> None:
        self._own, self._times, self.alpha = own, times, 1.0

    def next(self, n: int) -> Tensor:
        images = brought(self._own.next(n), self._times)
        return faded(images, self.alpha) if self.alpha < 1 else images

    def position(self) -> dict[str, Tensor]:
        return self._own.position()

    def seek(self, position: dict[str, Tensor]) -> None:
        self._own.seek(position)


class Grown(Decoder):
    """What is trained so far; images of a level that is not the last are brought up by repeating
    pixels. shapes: of every level from this one on, coarsest first.
    """

    def __init__(self, own: GeneratorSampler, players: Players, shapes: tuple[Shape, ...]) -> None:
        self.own, self.players, self.shapes, self.prior = own, players, shapes, own.prior

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self._up(self.own.sample(n, rng))

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self.own.codes(n, rng)

    def decode(self, z: Codes) -> Tensor:
        return self._up(self.own.decode(z))

    def _up(self, images: Tensor) -> Tensor:
        for shape in self.shapes[1:]:
            images = doubled(images, shape[1:])
        return images

    def tensors(self) -> dict[str, Tensor]:
        return self.own.tensors()


@dataclass(frozen=True)
class Growing(Game):
    """One level of progressive growing (Karras et al. 2018, section 2): the new blocks of both
    players come in over the first `fade` of its steps, alpha from 0 to 1, and true images with
    them; then it is trained as it is.

    own: a GAN at this level's size, of networks that grow. shapes: of every level, coarsest first.
    below: the level before. Deviation: a level begins with the average of the generator's weights,
    theirs with the weights themselves; as with them, optimisers begin afresh.
    """

    own: Adversarial
    shapes: tuple[Shape, ...]
    below: Grown | None = None
    fade: float = 0.5

    @property
    def at(self) -> int:
        """Which level, counted from 0 for the coarsest."""
        return self.shapes.index(self.own.shape)

    @property
    def protocol(self) -> Any:
        return self.own.protocol

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(
            replace(move, objective=partial(self._faded, move.objective)) for move in self.own.moves
        )

    def _faded(self, objective: Any, table: Table) -> Iterable[Summand]:
        """A player's objective with all three at the alpha of this step."""
        alpha = self._alpha(table.progress)
        for player in (GENERATOR, CRITIC):
            fade(table.network(player), alpha)
        assert isinstance(table.batches, Faded)
        table.batches.alpha = alpha
        return objective(table)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        """At the alpha of the first step: a level begins with the images of the one before."""
        players = self.own.players(data, rng)
        for name, network in players.items():
            fade(network, self._alpha(0.0))
            if self.below is not None:
                inherit(network, self.below.players[name])
        return players

    def _alpha(self, progress: float) -> float:
        return alpha_at(progress, self.fade) if self.at else 1.0

    def batches(self, data: Data) -> Batches:
        return Faded(data.batches(), len(self.shapes) - 1 - self.at)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.own.memory(data, rng)

    def fitted(self, players: Players, data: Data) -> Grown:
        """The generator's average lags in alpha, too: it is the critic's that counts."""
        for part in players[CRITIC].modules():
            if isinstance(part, Fading):
                fade(players[GENERATOR], float(part.alpha))
        networks = players[GENERATOR], players[CRITIC]
        own = GeneratorSampler(*networks, self.protocol, self.own.shape)
        return Grown(own, players, self.shapes[self.at :])

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Grown:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)


@torch.no_grad()
def inherit(network: nn.Module, below: nn.Module) -> None:
    """Give a network the weights that it shares with the one of the level before."""
    own = network.state_dict()
    for name, value in below.state_dict().items():
        if name in own and not name.endswith("alpha"):
            own[name].copy_(value)

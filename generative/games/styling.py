"""A GAN of styles: its generator is trained with styles of two codes mixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from generative.contracts import Batches, Codes, Data, LabelledBatches
from generative.games.adversarial import Adversarial
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR
from generative.samplers import GeneratorSampler, load
from generative.styles.mixing import drawn_cuts
from generative.styles.networks import StyleGenerator
from generative.styles.sampler import StyleSampler, settle


@dataclass(frozen=True)
class Styling(Game):
    """A GAN of which a share of all fakes, the critic's too, have from a layer on the style of
    another code (Karras et al. 2019, section 3.1).

    own: a GAN whose generator is one of styles. mixing: the share. every: its penalties count at
    every so many steps alone, so many times as much (Karras et al. 2020, section 3.1: 16; Adam's
    settings are not corrected for it as theirs are).
    """

    own: Adversarial
    mixing: float
    every: int = 1

    @property
    def protocol(self) -> Any:
        return self.own.protocol

    @property
    def moves(self) -> tuple[Move, ...]:
        dear = [(penalty, weight * self.every) for penalty, weight in self.own.penalties]
        both = (replace(self.own, penalties=tuple(dear)), replace(self.own, penalties=()))
        return tuple(
            replace(full, objective=partial(self._mixed, full.objective, bare.objective))
            for full, bare in zip(*(game.moves for game in both), strict=True)
        )

    def _mixed(self, full: Any, bare: Any, table: Table) -> Iterator[Summand]:
        """A player's objective with a generator that mixes in the generator's place."""
        step = round(table.progress * self.protocol.steps)
        objective = bare if step % self.every else full
        own, network = table.players[GENERATOR], table.network(GENERATOR)
        assert isinstance(network, StyleGenerator)

        def mixing(codes: Codes) -> Tensor:
            shape, rng = (len(codes), network.width), table.rng
            other = torch.randn(shape, generator=rng, device=rng.device)
            return own(codes, other, drawn_cuts(len(codes), network.layers, self.mixing, rng))

        with table.playing(**{GENERATOR: mixing if self.mixing else own}):
            yield from objective(table)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self.own.players(data, rng)

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.own.batches(data)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.own.memory(data, rng)

    def fitted(self, players: Players, data: Data) -> StyleSampler:
        network = players[GENERATOR]
        assert isinstance(network, StyleGenerator)
        settle(network)
        own = GeneratorSampler(network, players[CRITIC], self.protocol, self.own.shape)
        return StyleSampler(own, network)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> StyleSampler:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)

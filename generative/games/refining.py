"""A level of a Laplacian pyramid of GANs: what a finer image has beyond a coarse one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from generative.coarsetofine import CoarseToFine, Level, load_level
from generative.contracts import Batches, Data, Loss
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.coarsest import Small
from generative.games.turns import CRITIC, GENERATOR, critic_first
from generative.networks import critic_of
from generative.protocols.base import Protocol
from generative.pyramids.box import doubled, halved
from generative.refiners import Refiner


@dataclass(frozen=True)
class Refining(Game):
    """One level of LAPGAN (Denton et al. 2015, section 3.2): the generator is given a true coarse
    image and noise and draws the residual; the critic sees the sum of both, the whole image of this
    level.

    loss: one that compares no reals with fakes. below: the model of the coarser levels, which the
    training never draws from. Deviations: each image of a batch is a real and its coarse image one
    fake, where the paper tosses a coin for either; means of blocks and repeated pixels, where the
    authors' code scales bilinearly.
    """

    loss: Loss
    refiner: Refiner
    below: CoarseToFine

    @property
    def at(self) -> int:
        """Which level, counted from 0 for the coarsest."""
        return self.below.trained

    @property
    def level(self) -> Level:
        return self.below.levels[self.at]

    @property
    def protocol(self) -> Protocol:
        return self.level.protocol

    @property
    def moves(self) -> tuple[Move, ...]:
        return critic_first(self.protocol, self._critic_loss, self._generator_loss)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        coarse, fine, rules = self.below.levels[self.at - 1].shape, self.level.shape, self.protocol
        generator = self.refiner.build(coarse, fine).to(data.device)
        critic = critic_of(rules.critic, fine).to(data.device)
        if rng is not None:
            rules.initialise_critic(critic, rng)
        return {GENERATOR: generator, CRITIC: critic}

    def batches(self, data: Data) -> Batches:
        return Small(data.batches(), len(self.below.levels) - 1 - self.at)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _drawn(self, table: Table) -> tuple[Tensor, Tensor]:
        """Images of this level, and what the generator makes of the coarse ones of them."""

        def draw() -> tuple[Tensor, Tensor]:
            images: Any = table.batches.next(self.protocol.batch)
            coarse, codes = halved(images), self.protocol.codes(len(images), table.rng)
            kept = table.attached or table.keeps or table.mover == GENERATOR
            with torch.set_grad_enabled(kept), table.passes():
                residual = table.players[GENERATOR](coarse, codes).float()
            return images, doubled(coarse, images.shape[2:]) + residual

        return table.once("drawn", draw)

    def _logits(self, table: Table, images: Tensor) -> Tensor:
        with table.passes():
            return table.players[CRITIC](images).float()

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        real, fake = self._drawn(table)
        fake = fake if table.attached else fake.detach()
        yield Summand(self.loss.critic(self._logits(table, real), self._logits(table, fake)))

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        logits = self._logits(table, self._drawn(table)[1])
        yield Summand(self.loss.generator(logits, logits))

    def fitted(self, players: Players, data: Data) -> CoarseToFine:
        return self.below.finer(players[GENERATOR], players[CRITIC])

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> CoarseToFine:
        players = self.players(data, None)
        load_level(tensors, self.at, players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)

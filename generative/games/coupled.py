"""Coupled GANs (Liu & Tuzel 2016, arXiv:1606.07536): a GAN of each of two domains, with layers that
are the same for both and nothing that pairs their images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.contracts import Data, LabelledBatches, Loss
from generative.coupling import CoupledTranslator, Critics, Generators, Search, restored_couple
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.cycle import CRITICS, GENERATORS
from generative.games.translating import two_domains
from generative.networks import Network, Shape
from generative.protocols.translation import TranslationProtocol


@dataclass(frozen=True)
class Coupled(Game):
    """Equation 2: the sum of both GANs, each code made into an image of either domain; the critics
    move first, the generators on new codes.

    making, judging: the layers; batch norm sees a domain's reals and fakes in batches of their own.
    unshared: how many of the layers, next to the images, either domain has to itself; with all of
    them it is two GANs that only see the same codes. Of the protocol it is the optimisers, batch
    and steps that count. loss: one that compares no reals with fakes.
    """

    loss: Loss
    making: Network
    judging: Network
    latent: int
    unshared: int
    protocol: TranslationProtocol
    shape: tuple[int, ...]
    search: Search = field(default_factory=Search)

    @property
    def moves(self) -> tuple[Move, ...]:
        rules, decay = self.protocol, self.protocol.decay
        critics = Move(CRITICS, self._critic_loss, rules.critic_adam, decay=decay)
        return critics, Move(GENERATORS, self._generator_loss, rules.generator_adam, decay=decay)

    def _shapes(self, data: Data) -> tuple[Shape, Shape]:
        first, second = two_domains(data).first_shape, self.shape
        if first[1:] != second[1:]:
            raise UsageError(
                f"coupled generators need images of one size, got {list(first)} to {list(second)}: "
                "bring them to another size"
            )
        return first, second

    def _generators(self, data: Data) -> Generators:
        return Generators(self.making, self.latent, self._shapes(data), self.unshared)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        critics = Critics(self.judging, self._shapes(data), self.unshared)
        players: Players = {GENERATORS: self._generators(data), CRITICS: critics}
        return self.protocol.begun(players, data.device, rng)

    def batches(self, data: Data) -> LabelledBatches:
        return two_domains(data).domains()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _fakes(self, table: Table) -> tuple[Tensor, Tensor]:
        codes = torch.randn(
            self.protocol.batch, self.latent, generator=table.rng, device=table.device
        )
        with table.passes():
            first, second = table.players[GENERATORS](codes)
        return first.float(), second.float()

    def _logits(self, table: Table, images: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        with table.passes():
            first, second = table.players[CRITICS](*images)
        return first.float(), second.float()

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        reals = table.batches.next(self.protocol.batch)
        with torch.no_grad():
            fakes = self._fakes(table)
        both = self._logits(table, (reals[0], reals[1])), self._logits(table, fakes)
        for of_real, of_fake in zip(*both, strict=True):
            yield Summand(self.loss.critic(of_real, of_fake))

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        for logits in self._logits(table, self._fakes(table)):
            yield Summand(self.loss.generator(logits, logits))

    def fitted(self, players: Players, data: Data) -> CoupledTranslator:
        generators = players[GENERATORS]
        assert isinstance(generators, Generators)
        return CoupledTranslator(generators, self.latent, self.search)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> CoupledTranslator:
        generators = self._generators(data).to(data.device)
        return restored_couple(generators, self.latent, self.search, tensors)

"""Translation learnt from pairs: a critic of patches, and the distance to the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from generative.contracts import Data, LabelledBatches, Loss
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.translating import SLOWED, NetworkTranslator, restored, two_domains
from generative.games.turns import CRITIC, GENERATOR
from generative.protocols.translation import TranslationProtocol


@dataclass(frozen=True)
class Paired(Game):
    """pix2pix (Isola et al. 2017, equation 4) and what is left when a part of it is taken away.

    loss: the adversarial one over patches, or None for none: then the critic stands still.
    conditional: whether the critic sees the input beside the output. The generator minimises the
    adversarial loss plus the protocol's weight times the mean absolute error. Noise is dropout
    alone, as in the paper.
    """

    loss: Loss | None
    conditional: bool
    l1_weight: float
    protocol: TranslationProtocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        protocol, fresh = self.protocol, self.loss is None
        critic = Move(
            CRITIC,
            self._critic_loss,
            protocol.critic_adam,
            decay=protocol.decay,
        )
        generator = Move(
            GENERATOR,
            self._generator_loss,
            protocol.generator_adam,
            fresh=fresh,
            decay=protocol.decay,
        )
        return (generator,) if self.loss is None else (critic, generator)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        domains, build = two_domains(data), self.protocol.critic.build
        channels = self.shape[0] + (domains.first_shape[0] if self.conditional else 0)
        generator = self.protocol.generator.build(domains.first_shape, self.shape)
        players = {GENERATOR: generator, CRITIC: build(channels, self.shape)}
        return self.protocol.begun(players, data.device, rng)

    def batches(self, data: Data) -> LabelledBatches:
        return two_domains(data).pairs()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _pairs(self, table: Table) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, their true partners, and what the generator makes of them."""

        def draw() -> tuple[Tensor, Tensor, Tensor]:
            x, y = table.batches.next(self.protocol.batch)
            with table.passes():
                return x, y, table.players[GENERATOR](x).float()

        return table.once("pairs", draw)

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        x, y, fake = self._pairs(table)
        assert self.loss is not None
        fake = fake if table.attached else fake.detach()
        value = self.loss.critic(self._logits(table, x, y), self._logits(table, x, fake))
        yield Summand(value, SLOWED)

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        x, y, fake = self._pairs(table)
        yield Summand((fake - y).abs(), self.l1_weight * self.protocol.span)
        if self.loss is not None:
            logits = self._logits(table, x, fake)
            yield Summand(self.loss.generator(logits, logits))

    def _logits(self, table: Table, x: Tensor, y: Tensor) -> Tensor:
        """Of images and patches, [n * patches]."""
        with table.passes():
            logits = table.players[CRITIC](torch.cat([x, y], 1) if self.conditional else y)
        return logits.flatten().float()

    def fitted(self, players: Players, data: Data) -> NetworkTranslator:
        return NetworkTranslator({"forward": players[GENERATOR]})

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> NetworkTranslator:
        return restored({"forward": self.players(data, None)[GENERATOR]}, tensors)

"""Translation learnt by a critic of pairs: what BiGAN and ALI are with images for codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from generative.contracts import Data, LabelledBatches, Loss, TwoDomains
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.cycle import GENERATORS
from generative.games.translating import SLOWED, NetworkTranslator, restored, two_domains
from generative.games.turns import CRITIC
from generative.protocols.translation import TranslationProtocol


@dataclass(frozen=True)
class Inverse(Game):
    """BiGAN (Donahue et al. 2017) and ALI (Dumoulin et al. 2017) as Zhu et al. 2017 compare them
    (section 5.1): G translates x, F translates y, and a critic of patches tells (F(y), y) from
    (x, G(x)). Where it can't, each undoes the other. Both generators minimise the loss of what they
    make and, the sign of the logit changed, of what the other makes.

    loss: one that is symmetric so, as the non-saturating one is.
    """

    loss: Loss
    protocol: TranslationProtocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        rules, decay = self.protocol, self.protocol.decay
        generators = Move(GENERATORS, self._generator_loss, rules.generator_adam, decay=decay)
        critic = Move(CRITIC, self._critic_loss, rules.critic_adam, fresh=False, decay=decay)
        return generators, critic

    def _generators(self, domains: TwoDomains) -> nn.ModuleList:
        first, second, build = domains.first_shape, self.shape, self.protocol.generator.build
        return nn.ModuleList([build(first, second), build(second, first)])

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        domains = two_domains(data)
        channels = domains.first_shape[0] + self.shape[0]
        players = {
            GENERATORS: self._generators(domains),
            CRITIC: self.protocol.critic.build(channels, self.shape),
        }
        return self.protocol.begun(players, data.device, rng)

    def batches(self, data: Data) -> LabelledBatches:
        return two_domains(data).domains()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _pairs(self, table: Table) -> tuple[Tensor, Tensor]:
        """(x, G(x)) and (F(y), y), each along the channels."""

        def draw() -> tuple[Tensor, Tensor]:
            x, y = table.batches.next(self.protocol.batch)
            forward, backward = _generators(table)
            with table.passes():
                there, back = forward(x).float(), backward(y).float()
            return torch.cat([x, there], 1), torch.cat([back, y], 1)

        return table.once("pairs", draw)

    def _logits(self, table: Table, pairs: Tensor) -> Tensor:
        with table.passes():
            return table.players[CRITIC](pairs).flatten().float()

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        there, back = (self._logits(table, pairs) for pairs in self._pairs(table))
        yield Summand(self.loss.generator(there, there))
        yield Summand(self.loss.generator(-back, -back))

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        there, back = (self._logits(table, pairs.detach()) for pairs in self._pairs(table))
        yield Summand(self.loss.critic(back, there), SLOWED)

    def fitted(self, players: Players, data: Data) -> NetworkTranslator:
        forward, backward = players[GENERATORS].children()
        return NetworkTranslator({"forward": forward, "backward": backward})

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> NetworkTranslator:
        forward, backward = self._generators(two_domains(data)).to(data.device)
        return restored({"forward": forward, "backward": backward}, tensors)


def _generators(table: Table) -> Any:
    return table.players[GENERATORS]

"""GoGAN (Juefei-Xu et al. 2017, arXiv:1704.04865): what a stage after the first plays, a GAN that
is to rank above the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import relu

from generative.contracts import Data, Decoder
from generative.games.adversarial import CODES, LOGITS, Adversarial
from generative.games.base import Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR
from generative.games.wrapped import Extended
from generative.samplers import GeneratorSampler, load


@dataclass(frozen=True)
class Ranking(Extended):
    """A GAN that goes on from a finished one, from its generator and its critic, and whose critic
    minimises beside its own loss

        rank_weight * relu(2 * margin + C(G'(z)) - C(x)),

    where G' is the finished generator, which stays as it is, and z are the codes of the new fakes
    that x is compared with: the data are to be ahead of new fakes by a margin, and of former ones
    by two. The generator minimises its own loss. What is finished is a model: where the protocol
    has an average of the generator, a stage goes on from that. A critic with batch norm sees former
    fakes in a batch of their own. own: the GAN, of a loss and a constraint; its critic sees
    examples as they are.
    """

    own: Adversarial
    margin: float
    rank_weight: float
    before: GeneratorSampler

    @property
    def protocol(self) -> Any:
        return self.own.protocol

    @property
    def moves(self) -> tuple[Move, ...]:
        opens, other = self.own.moves
        return replace(opens, objective=self._critic_loss), other

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        opens, _ = self.own.moves
        yield from opens.objective(table)
        if self.rank_weight:
            of_real, _ = table.once(LOGITS, tuple)
            yield Summand(relu(2 * self.margin + self._former(table) - of_real), self.rank_weight)

    def _former(self, table: Table) -> Tensor:
        """What the critic says of the fakes that the finished generator makes of the same codes."""
        with torch.no_grad():
            fake = self.before.decode(table.once(CODES, tuple))
        with table.passes():
            return table.players[CRITIC](fake).float()

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        players = self.own.players(data, rng)
        if rng is not None:
            load(self.before.tensors(), players[GENERATOR], players[CRITIC])
        return players

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Decoder:
        return self.own.restored(data, tensors)

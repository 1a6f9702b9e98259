"""A GAN, and an encoder that learns to undo its generator: the latent regressor of Donahue et al.
2017 (arXiv:1605.09782, section 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from generative.contracts import Data
from generative.games.adversarial import CODES
from generative.games.base import Memory, Move, Summand, Table
from generative.games.inferred import Inferred
from generative.inference import (
    ENCODER,
)


@dataclass(frozen=True)
class Regressing(Inferred):
    """The moves of the GAN, to the bit, with the encoder's between them: |E(G(z)) - z|^2, summed
    over the code, on the fakes that the critic has just seen. E never sees a real example, and
    nobody learns from it. It moves with the critic's optimiser, goes without batch norm and starts
    as PyTorch has it.
    """

    @property
    def moves(self) -> tuple[Move, ...]:
        critic, generator = self.gan.moves
        rules = self.protocol
        encoder = Move(ENCODER, self._loss, rules.critic_adam, fresh=False, average=rules.average)
        return critic, encoder, generator

    def _loss(self, table: Table) -> Iterator[Summand]:
        codes, (made, _) = table.once(CODES, tuple), table.once("fakes", tuple)
        with table.passes():
            outputs = table.players[ENCODER](made.detach()).float()
        yield Summand((self.inference.mean(outputs) - codes).square().sum(1))

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.gan.memory(data, rng)

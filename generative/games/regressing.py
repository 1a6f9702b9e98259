"""A GAN, and an encoder that learns to undo its generator: the latent regressor of Donahue et al.
2017 (arXiv:1605.09782, section 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from generative.contracts import Autoencoder, Batches, Data, LabelledBatches
from generative.games.adversarial import CODES, CRITIC, GENERATOR, Adversarial
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.inference import (
    ENCODER,
    ContestedInferrer,
    Inference,
    load_inferrer,
)
from generative.measured import fit_measured
from generative.protocols.base import Protocol
from generative.samplers import GeneratorSampler


@dataclass(frozen=True)
class Regressing(Game):
    """The moves of the GAN, to the bit, with the encoder's between them: |E(G(z)) - z|^2, summed
    over the code, on the fakes that the critic has just seen. E never sees a real example, and
    nobody learns from it. It moves with the critic's optimiser, goes without batch norm and starts
    as PyTorch has it.
    """

    gan: Adversarial
    inference: Inference
    protocol: Protocol
    shape: tuple[int, ...]

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

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules, own = self.protocol, self.gan.players(data, rng)
        encoder = self.inference.build(rules.critic, self.shape, rules.latent).to(data.device)
        if rng is not None:
            fit_measured(encoder, data)
        return {**own, ENCODER: encoder}

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.gan.batches(data)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.gan.memory(data, rng)

    def fitted(self, players: Players, data: Data) -> Autoencoder:
        own = GeneratorSampler(players[GENERATOR], players[CRITIC], self.protocol, self.shape)
        return ContestedInferrer(own, players[ENCODER], self.inference)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Autoencoder:
        players = self.players(data, None)
        load_inferrer(dict(tensors), players[GENERATOR], players[CRITIC], players[ENCODER])
        return self.fitted(players, data)

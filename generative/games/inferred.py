"""A GAN with a third player beside it: an encoder of examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from generative.contracts import Autoencoder, Batches, Data, LabelledBatches
from generative.games.adversarial import Adversarial
from generative.games.base import Game, Players
from generative.games.turns import CRITIC, GENERATOR
from generative.inference import ENCODER, ContestedInferrer, Inference, load_inferrer
from generative.measured import fit_measured
from generative.protocols.base import Protocol
from generative.samplers import GeneratorSampler


@dataclass(frozen=True)
class Inferred(Game):
    """The GAN's players and batches, and an encoder of its critic's layers, which starts as PyTorch
    has it. inference: what the encoder says of a code.
    """

    gan: Adversarial
    inference: Inference

    @property
    @final
    def protocol(self) -> Protocol:
        return self.gan.protocol

    @property
    @final
    def shape(self) -> tuple[int, ...]:
        """Of an example."""
        return self.gan.shape

    @final
    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules, own = self.protocol, self.gan.players(data, rng)
        encoder = self.inference.build(rules.critic, self.shape, rules.latent).to(data.device)
        if rng is not None:
            fit_measured(encoder, data)
        return {**own, ENCODER: encoder}

    @final
    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.gan.batches(data)

    @final
    def fitted(self, players: Players, data: Data) -> Autoencoder:
        own = GeneratorSampler(players[GENERATOR], players[CRITIC], self.protocol, self.shape)
        return ContestedInferrer(own, players[ENCODER], self.inference)

    @final
    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Autoencoder:
        players = self.players(data, None)
        load_inferrer(dict(tensors), players[GENERATOR], players[CRITIC], players[ENCODER])
        return self.fitted(players, data)

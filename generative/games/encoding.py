"""Models that encode and decode: one player, one objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from generative.contracts import Autoencoder, Batches, Data, PerExample, Sampler
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.measured import fit_measured
from generative.protocols.base import Protocol
from generative.samplers import load_weights
from generative.trainers.optimisers import chunks_of

CODER, REALS = "coder", "reals"
SAMPLE_CHUNK = 1_000


class Coder(nn.Module):
    """An encoder [n, *shape] to [n, outputs] and a decoder [n, latent] to [n, *shape].

    variance: of the decoder's Gaussian noise. code_mean [latent], code_factor [latent, latent]:
    of the Gaussian that codes are drawn from; the standard one at first.
    """

    variance: Tensor
    code_mean: Tensor
    code_factor: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.register_buffer("variance", torch.zeros(()))
        self.register_buffer("code_mean", torch.zeros(latent))
        self.register_buffer("code_factor", torch.eye(latent))

    def draw_codes(self, n: int, rng: torch.Generator) -> Tensor:
        """Codes to decode, [n, latent]."""
        noise = torch.randn(n, self.latent, generator=rng, device=rng.device)
        return self.code_mean + noise @ self.code_factor.T


class Objective(ABC):
    """What a coder minimises, and what it is when it has."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """The encoder's outputs for each dimension of the code."""

    @abstractmethod
    def loss(self, coder: Coder, x: Tensor, rng: torch.Generator, progress: float) -> PerExample:
        """The loss of each example. progress: the share of the training that is done."""

    @abstractmethod
    def settle(self, coder: Coder, data: Data) -> None:
        """What is estimated once the weights stand: the codes' distribution."""

    @abstractmethod
    def encode(self, coder: Coder, x: Tensor) -> Tensor:
        """The codes of examples, [n, latent]."""

    @abstractmethod
    def fitted(self, coder: Coder, box: tuple[float, float] | None) -> Sampler:
        """The model of a coder in evaluation mode."""


class CodedSampler(Autoencoder):
    """Samples are decoded draws of codes. `decode` has a graph where its argument asks for one."""

    def __init__(self, coder: Coder, objective: Objective) -> None:
        self._coder, self._objective = coder, objective

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        parts = [self.codes(size, rng) for size in chunks_of(n, SAMPLE_CHUNK)]
        return torch.cat([self.decode(codes) for codes in parts])

    def codes(self, n: int, rng: torch.Generator) -> Tensor:
        return self._coder.draw_codes(n, rng)

    def encode(self, x: Tensor) -> Tensor:
        with torch.inference_mode():
            return self._objective.encode(self._coder, x).clone()

    def decode(self, z: Tensor) -> Tensor:
        with torch.set_grad_enabled(z.requires_grad):
            return self._coder.decoder(z)

    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._coder.state_dict().items()}


@dataclass(frozen=True)
class Encoding(Game):
    """One player, an encoder and a decoder, against nobody: Adam on the objective, over the
    protocol's networks. Its generator decodes, its critic's layers encode; rate and batch are those
    of its generator. Over the second half of the training the rate falls to 0, so that the last
    step is none of the bad ones.
    """

    objective: Objective
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        return (Move(CODER, self._loss, self.protocol.generator_adam, decay=0.5),)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        latent = self.protocol.latent
        encoder = self.protocol.critic.encoder(self.shape, latent * self.objective.outputs)
        decoder = self.protocol.generator.generator(latent, self.shape)
        coder = Coder(encoder, decoder, latent).to(data.device)
        if rng is not None:
            self.protocol.initialisation.apply(coder, rng)
            fit_measured(coder, data)
        return {CODER: coder}

    def batches(self, data: Data) -> Batches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def reals(self, table: Table) -> Tensor:
        """The next batch, or the one that lies there."""
        x = table.once(REALS, lambda: table.batches.next(self.protocol.batch))
        assert isinstance(x, Tensor)
        return x

    def _loss(self, table: Table) -> list[Summand]:
        x = self.reals(table)
        with table.passes():
            coder: Any = table.players[CODER]
            return [Summand(self.objective.loss(coder, x, table.rng, table.progress))]

    def fitted(self, players: Players, data: Data) -> Sampler:
        coder = players[CODER].eval()
        assert isinstance(coder, Coder)
        with torch.inference_mode():
            self.objective.settle(coder, data)
        return self.objective.fitted(coder, data.box)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        coder = self.players(data, None)[CODER].eval()
        assert isinstance(coder, Coder)
        load_weights(coder, dict(tensors), "model")
        return self.objective.fitted(coder, data.box)

"""The one trainer of all models that encode and decode: one network, one objective."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generative.contracts import (
    Autoencoder,
    Batches,
    Data,
    PerExample,
    Sampler,
    Trainer,
    Tree,
)
from generative.protocols.base import Protocol
from generative.samplers import load_weights
from generative.trainers.execution import PLAIN, Execution
from generative.trainers.optimisers import chunks_of, descend, optimiser
from generative.trainers.progress import Part, pack, refuse_broken, taken_up

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


@dataclass
class EncodingState:
    """Everything that moves during training, and the data."""

    coder: Coder
    adam: torch.optim.Optimizer
    data: Data
    batches: Batches
    noise: torch.Generator
    step: int = 0

    @property
    def parts(self) -> dict[str, Part]:
        return {
            "coder": self.coder,
            "adam": self.adam,
            "batches": self.batches,
            "noise": self.noise,
        }


@dataclass(frozen=True)
class EncodingTrainer(Trainer):
    """Adam on the objective, over the protocol's networks: its generator decodes, its critic's
    layers encode; rate and batch are those of its generator. Over the second half of the training
    the rate falls to 0, so that the last step is none of the bad ones.
    """

    objective: Objective
    protocol: Protocol
    shape: tuple[int, ...]
    execution: Execution = PLAIN

    @property
    def steps(self) -> int:
        return self.protocol.steps

    def _coder(self, device: str) -> Coder:
        latent = self.protocol.latent
        encoder = self.protocol.critic.encoder(self.shape, latent * self.objective.outputs)
        decoder = self.protocol.generator.generator(latent, self.shape)
        return Coder(encoder, decoder, latent).to(device)

    def start(self, data: Data, rng: torch.Generator) -> EncodingState:
        coder = self._coder(data.device)
        self.protocol.initialisation.apply(coder, rng)
        for part in (coder.encoder, coder.decoder):
            self.execution.prepared(part)
        adam = optimiser(coder, self.protocol.generator_adam)
        return EncodingState(coder, adam, data, data.batches(), rng)

    def advance(self, state: EncodingState, steps: int) -> EncodingState:
        loss = torch.zeros(())
        for _ in range(steps):
            x = state.batches.next(self.protocol.batch)
            progress = state.step / self.steps
            with self.execution.passes(x.device.type):
                loss = self.objective.loss(state.coder, x, state.noise, progress).mean()
            state.adam.param_groups[0]["lr"] = self._rate(progress)
            descend(loss, state.coder, state.adam)
            state.step += 1
        refuse_broken({"model": state.coder}, loss.detach(), state.step)
        return state

    def _rate(self, progress: float) -> float:
        return self.protocol.generator_adam.lr * min(1.0, max(0.0, 2 * (1 - progress)))

    def finish(self, state: EncodingState) -> Sampler:
        coder = copy.deepcopy(state.coder).eval()
        with torch.inference_mode():
            self.objective.settle(coder, state.data)
        return self.objective.fitted(coder, state.data.box)

    def pack(self, state: EncodingState) -> Tree:
        return pack(state)

    def unpack(self, data: Data, tree: Tree) -> EncodingState:
        return taken_up(self.start(data, torch.Generator(device=data.device)), tree)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        coder = self._coder(data.device).eval()
        load_weights(coder, dict(tensors), "model")
        return self.objective.fitted(coder, data.box)

"""A generator as it is before the first step: the floor of every GAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.core.randomness import forked
from generative.contracts import RECIPES, Data, Recipe, Sampler
from generative.protocols.base import Protocol, layer_modules, layers_said, protocol_of
from generative.samplers import GeneratorSampler, load
from generative.trainers.fit import FitTrainer
from generative.training import Training

READ = ("generator_network",)


@dataclass(frozen=True)
class UntrainedTrainer(FitTrainer):
    """The generator of a protocol, initialised as the protocol says."""

    protocol: Protocol
    shape: tuple[int, ...]

    def fit(self, data: Data, seed: int) -> Sampler:
        generator = torch.Generator(device=data.device).manual_seed(seed)
        with forked(seed):
            network = self.protocol.generator.generator(self.protocol.latent, self.shape)
            network.to(data.device)
            self.protocol.initialisation.apply(network, generator)
        return GeneratorSampler(network, None, self.protocol, self.shape)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        network = self.protocol.generator.generator(self.protocol.latent, self.shape)
        load(dict(tensors), network.to(data.device), None)
        return GeneratorSampler(network, None, self.protocol, self.shape)


@dataclass(frozen=True)
class Untrained(Recipe):
    """It reads the protocol, its generator's layers and nothing else."""

    def relevant(self, training: Training) -> dict[str, Any]:
        return {"protocol": protocol_of(training, READ).name, **layers_said(training, READ)}

    def modules(self, training: Training) -> tuple[str, ...]:
        return (protocol_of(training, READ).origin, *layer_modules(training, READ))

    def trainer(self, training: Training, shape: tuple[int, ...]) -> UntrainedTrainer:
        protocol = protocol_of(training, READ).part
        protocol.refuse(shape)
        return UntrainedTrainer(protocol, shape)

    def seconds(self, training: Training) -> float:
        return protocol_of(training, READ).part.milliseconds / 100


RECIPES.register(
    "untrained", summary="The protocol's generator before the first step", role="floor"
)(Untrained())

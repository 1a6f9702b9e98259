"""The one trainer of all models with a generator and a critic: critic steps, then a generator's."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generative.conditioning import Conditioning
from generative.contracts import (
    Batches,
    Constraint,
    Data,
    Decoder,
    LabelledBatches,
    Loss,
    Penalty,
    Trainer,
    Tree,
)
from generative.networks import critic_of
from generative.protocols.base import Protocol
from generative.samplers import ConditionalGeneratorSampler, GeneratorSampler, load
from generative.trainers.execution import PLAIN, Execution
from generative.trainers.optimisers import descend, optimiser, schedule
from generative.trainers.progress import Part, pack, refuse_broken, taken_up

Condition = tuple[Tensor, ...]
"""The labels of a batch, or nothing."""

Seen = tuple[Tensor, Tensor, Condition]
"""Reals and fakes that a critic was shown, with their labels."""


@dataclass
class AdversarialState:
    """Everything that moves during training. average: the moving average of the generator, or
    None where the protocol has none.
    """

    generator: nn.Module
    critic: nn.Module
    average: nn.Module | None
    generator_adam: torch.optim.Optimizer
    critic_adam: torch.optim.Optimizer
    batches: Batches | LabelledBatches
    noise: torch.Generator
    classes: int
    step: int = 0

    @property
    def parts(self) -> dict[str, Part]:
        return {
            "generator": self.generator,
            "critic": self.critic,
            "average": self.average,
            "generator_adam": self.generator_adam,
            "critic_adam": self.critic_adam,
            "batches": self.batches,
            "noise": self.noise,
        }


@dataclass(frozen=True)
class AdversarialTrainer(Trainer):
    """Algorithm 1 of Goodfellow et al. 2014 with any loss: per generator step, `critic_steps`
    steps of the critic, every step on new data and new noise.

    A penalty is added to the critic's loss, a constraint applied after each of its steps. A
    critic with batch norm sees reals and fakes in batches of their own. conditioning: how both
    players are told the class; the critic's fakes have the classes of its reals, new ones for the
    generator are drawn evenly. Deviation: the optimisers are the protocol's.
    """

    loss: Loss
    relativistic: bool
    penalty: Penalty | None
    penalty_weight: float
    constraint: Constraint | None
    protocol: Protocol
    shape: tuple[int, ...]
    conditioning: Conditioning | None = None
    execution: Execution = PLAIN

    @property
    def steps(self) -> int:
        return self.protocol.steps

    def _players(self, data: Data) -> tuple[nn.Module, nn.Module]:
        """Generator and critic as PyTorch initialises them, on the data's device."""
        making, judging = self.protocol.generator, self.protocol.critic
        latent, shape, told = self.protocol.latent, self.shape, self.conditioning
        if told is None:
            players = making.generator(latent, shape), critic_of(judging, shape)
        else:
            players = (
                told.generator(making, latent, shape, data.classes),
                told.critic(judging, shape, data.classes),
            )
        return players[0].to(data.device), players[1].to(data.device)

    def start(self, data: Data, rng: torch.Generator) -> AdversarialState:
        protocol = self.protocol
        generator, critic = self._players(data)
        protocol.initialisation.apply(generator, rng)
        bare = None if protocol.critic.mixes else protocol.bare
        (bare or protocol.initialisation).apply(critic, rng)
        if self.constraint is not None:
            self.constraint.prepare(critic)
        average = copy.deepcopy(generator) if protocol.average else None
        generator, critic = (self.execution.prepared(player) for player in (generator, critic))
        return AdversarialState(
            generator,
            critic,
            average,
            optimiser(generator, protocol.generator_adam),
            optimiser(critic, protocol.critic_adam),
            data.batches() if self.conditioning is None else data.labelled_batches(),
            rng,
            data.classes,
        )

    def advance(self, state: AdversarialState, steps: int) -> AdversarialState:
        value = torch.zeros(())
        for _ in range(steps):
            schedule(state.generator_adam, self.protocol.generator_adam, state.step)
            schedule(state.critic_adam, self.protocol.critic_adam, state.step)
            seen = None
            for _ in range(self.protocol.critic_steps):
                value, seen = self._critic_step(state)
            value = value + self._generator_step(state, seen if self.protocol.shared else None)
            state.step += 1
            if state.average is not None:
                self._follow(state.average, state)
        refuse_broken({"generator": state.generator, "critic": state.critic}, value, state.step)
        return state

    def _critic_step(self, state: AdversarialState) -> tuple[Tensor, Seen]:
        real, told = self._real(state)
        shared = self.protocol.shared
        with torch.set_grad_enabled(shared), self.execution.passes(state.noise.device.type):
            made = state.generator(self._noise(state), *told).float()
        fake = made.detach()
        loss = self.loss.critic(*self._logits(state, real, fake, told)).mean()
        if self.penalty is not None:
            loss = loss + self.penalty_weight * self._penalty(state, real, fake, told).mean()
        descend(loss, state.critic, state.critic_adam)
        if self.constraint is not None:
            self.constraint.project(state.critic)
        return loss.detach(), (real, made, told)

    def _real(self, state: AdversarialState) -> tuple[Tensor, Condition]:
        """The next batch of reals, and its labels where the critic is told them."""
        drawn = state.batches.next(self.protocol.batch)
        return (drawn, ()) if isinstance(drawn, Tensor) else (drawn[0], (drawn[1],))

    def _logits(
        self, state: AdversarialState, real: Tensor, fake: Tensor, told: Condition
    ) -> tuple[Tensor, Tensor]:
        with self.execution.passes(state.noise.device.type):
            if self.protocol.critic.mixes:
                return state.critic(real, *told).float(), state.critic(fake, *told).float()
            both = [torch.cat([labels, labels]) for labels in told]
            logits = state.critic(torch.cat([real, fake]), *both).float()
            return logits[: len(real)], logits[len(real) :]

    def _penalty(
        self, state: AdversarialState, real: Tensor, fake: Tensor, told: Condition
    ) -> Tensor:
        assert self.penalty is not None
        return self.penalty(lambda x: state.critic(x, *told), real, fake, state.noise)

    def _generator_step(self, state: AdversarialState, seen: Seen | None) -> Tensor:
        real, made, told = seen or (None, *self._fakes(state))
        device = state.noise.device.type
        with self.execution.passes(device):
            fake_logits = state.critic(made, *told).float()
        real_logits = fake_logits
        if self.relativistic:
            real, labels = (real, told) if real is not None else self._real(state)
            with torch.no_grad(), self.execution.passes(device):
                real_logits = state.critic(real, *labels).float()
        loss = self.loss.generator(real_logits, fake_logits).mean()
        descend(loss, state.generator, state.generator_adam)
        return loss.detach()

    def _fakes(self, state: AdversarialState) -> tuple[Tensor, Condition]:
        """New ones, of classes drawn evenly."""
        noise, rng = self._noise(state), state.noise
        told: Condition = ()
        if self.conditioning is not None:
            shape = (self.protocol.batch,)
            told = (torch.randint(state.classes, shape, generator=rng, device=rng.device),)
        with self.execution.passes(rng.device.type):
            return state.generator(noise, *told), told

    @torch.no_grad()
    def _follow(self, average: nn.Module, state: AdversarialState) -> None:
        """Move the average towards the generator; a young average follows faster."""
        pace = max(1 - self.protocol.average, 1 / state.step)
        kept, new = average.state_dict(), state.generator.state_dict()
        for name, value in kept.items():
            if value.is_floating_point():
                value.lerp_(new[name], pace)

    def _noise(self, state: AdversarialState) -> Tensor:
        return self.protocol.codes(self.protocol.batch, state.noise)

    def finish(self, state: AdversarialState) -> Decoder:
        model = state.generator if state.average is None else state.average
        return self._fitted(copy.deepcopy(model), copy.deepcopy(state.critic), state.classes)

    def _fitted(self, generator: nn.Module, critic: nn.Module, classes: int) -> Decoder:
        if self.conditioning is None:
            return GeneratorSampler(generator, critic, self.protocol, self.shape)
        return ConditionalGeneratorSampler(generator, critic, self.protocol, self.shape, classes)

    def pack(self, state: AdversarialState) -> Tree:
        return pack(state)

    def unpack(self, data: Data, tree: Tree) -> AdversarialState:
        return taken_up(self.start(data, torch.Generator(device=data.device)), tree)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Decoder:
        generator, critic = self._players(data)
        if self.constraint is not None:
            self.constraint.prepare(critic)
        load(dict(tensors), generator, critic)
        return self._fitted(generator, critic, data.classes)

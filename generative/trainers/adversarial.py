"""The one trainer of all two-player models: critic steps, then a generator step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.randomness import global_state, set_global_state
from generative.contracts import (
    Batches,
    Constraint,
    Data,
    Diverged,
    Loss,
    Penalty,
    Sampler,
    Trainer,
    Tree,
)
from generative.networks import critic_of
from generative.protocols.base import Protocol
from generative.trainers.optimisers import (
    chunks_of,
    copied,
    descend,
    optimiser,
    pack_optimiser,
    unpack_optimiser,
)

SAMPLE_CHUNK = 16_384
SAMPLE_VALUES = 2**20


@dataclass
class State:
    """Everything that moves during training. average: the moving average of the generator, or
    None where the protocol has none.
    """

    generator: nn.Module
    critic: nn.Module
    average: nn.Module | None
    generator_adam: torch.optim.Adam
    critic_adam: torch.optim.Adam
    batches: Batches
    noise: torch.Generator
    step: int = 0


class GeneratorSampler(Sampler):
    """A trained generator, batch norm in evaluation mode, fed with N(0, I)."""

    def __init__(self, generator: nn.Module, latent: int, shape: tuple[int, ...]) -> None:
        self._generator, self._latent, self._shape = generator.eval(), latent, torch.Size(shape)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        size = max(1, min(SAMPLE_CHUNK, SAMPLE_VALUES // self._shape.numel()))
        with torch.inference_mode():
            chunks = [
                self._generator(torch.randn(part, self._latent, generator=rng, device=rng.device))
                for part in chunks_of(n, size)
            ]
        return torch.cat(chunks).clone()

    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._generator.state_dict().items()}


@dataclass(frozen=True)
class AdversarialTrainer(Trainer):
    """Algorithm 1 of Goodfellow et al. 2014 with any loss: per generator step, `critic_steps`
    steps of the critic, every step on new data and new noise.

    A penalty is added to the critic's loss, a constraint applied after each of its steps. A
    critic with batch norm sees reals and fakes in batches of their own. Deviation: the paper's
    momentum SGD is whatever Adam the protocol names.
    """

    loss: Loss
    relativistic: bool
    penalty: Penalty | None
    penalty_weight: float
    constraint: Constraint | None
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def steps(self) -> int:
        return self.protocol.steps

    def start(self, data: Data, rng: torch.Generator) -> State:
        protocol = self.protocol
        generator = protocol.generator.generator(protocol.latent, self.shape).to(data.device)
        critic = critic_of(protocol.critic, self.shape).to(data.device)
        protocol.initialisation.apply(generator, rng)
        protocol.initialisation.apply(critic, rng)
        if self.constraint is not None:
            self.constraint.prepare(critic)
        return State(
            generator,
            critic,
            copy.deepcopy(generator) if protocol.average else None,
            optimiser(generator, protocol.generator_adam),
            optimiser(critic, protocol.critic_adam),
            data.batches(),
            rng,
        )

    def advance(self, state: State, steps: int) -> State:
        value = torch.zeros(())
        for _ in range(steps):
            for _ in range(self.protocol.critic_steps):
                value = self._critic_step(state)
            value = value + self._generator_step(state)
            state.step += 1
            if state.average is not None:
                self._follow(state.average, state)
        self._check(state, value)
        return state

    def _critic_step(self, state: State) -> Tensor:
        real = state.batches.next(self.protocol.batch)
        with torch.no_grad():
            fake = state.generator(self._noise(state))
        loss = self.loss.critic(*self._logits(state.critic, real, fake)).mean()
        if self.penalty is not None:
            penalties = self.penalty(state.critic, real, fake, state.noise)
            loss = loss + self.penalty_weight * penalties.mean()
        descend(loss, state.critic, state.critic_adam)
        if self.constraint is not None:
            self.constraint.project(state.critic)
        return loss.detach()

    def _logits(self, critic: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if self.protocol.critic.mixes:
            return critic(real), critic(fake)
        logits = critic(torch.cat([real, fake]))
        return logits[: len(real)], logits[len(real) :]

    def _generator_step(self, state: State) -> Tensor:
        fake = state.generator(self._noise(state))
        fake_logits = state.critic(fake)
        real_logits = fake_logits
        if self.relativistic:
            with torch.no_grad():
                real_logits = state.critic(state.batches.next(self.protocol.batch))
        loss = self.loss.generator(real_logits, fake_logits).mean()
        descend(loss, state.generator, state.generator_adam)
        return loss.detach()

    @torch.no_grad()
    def _follow(self, average: nn.Module, state: State) -> None:
        """Move the average towards the generator; a young average follows faster."""
        pace = max(1 - self.protocol.average, 1 / state.step)
        kept, new = average.state_dict(), state.generator.state_dict()
        for name, value in kept.items():
            if value.is_floating_point():
                value.lerp_(new[name], pace)

    def _noise(self, state: State) -> Tensor:
        rng = state.noise
        return torch.randn(
            self.protocol.batch, self.protocol.latent, generator=rng, device=rng.device
        )

    def _check(self, state: State, value: Tensor) -> None:
        if not bool(torch.isfinite(value)):
            raise Diverged(f"the loss is {float(value)} at step {state.step}")
        for player in ("generator", "critic"):
            for name, weight in getattr(state, player).named_parameters():
                if not bool(torch.isfinite(weight).all()):
                    raise Diverged(f"{player} {name} is not finite at step {state.step}")

    def finish(self, state: State) -> GeneratorSampler:
        model = state.generator if state.average is None else state.average
        return GeneratorSampler(copy.deepcopy(model), self.protocol.latent, self.shape)

    def pack(self, state: State) -> Tree:
        return {
            "step": state.step,
            "generator": copied(state.generator.state_dict()),
            "critic": copied(state.critic.state_dict()),
            "average": None if state.average is None else copied(state.average.state_dict()),
            "generator_adam": pack_optimiser(state.generator_adam),
            "critic_adam": pack_optimiser(state.critic_adam),
            "batches": state.batches.position(),
            "noise": state.noise.get_state(),
            "global": global_state(),
        }

    def unpack(self, data: Data, tree: Tree) -> State:
        noise = torch.Generator(device=data.device)
        state = self.start(data, noise)
        state.generator.load_state_dict(tree["generator"])
        state.critic.load_state_dict(tree["critic"])
        if state.average is not None:
            state.average.load_state_dict(tree["average"])
        unpack_optimiser(state.generator_adam, tree["generator_adam"])
        unpack_optimiser(state.critic_adam, tree["critic_adam"])
        state.batches.seek(tree["batches"])
        noise.set_state(tree["noise"])
        set_global_state(tree["global"])
        state.step = int(tree["step"])
        return state

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> GeneratorSampler:
        generator = self.protocol.generator.generator(self.protocol.latent, self.shape)
        generator.to(data.device).load_state_dict(dict(tensors))
        return GeneratorSampler(generator, self.protocol.latent, self.shape)

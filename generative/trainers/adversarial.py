"""The one trainer of all two-player models: critic steps, then a generator step."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.randomness import global_state, set_global_state
from generative.contracts import (
    Batches,
    Data,
    Diverged,
    Loss,
    Sampler,
    Trainer,
    Tree,
)
from generative.networks import Initialisation, Mlp
from generative.protocols.base import Adam

SAMPLE_CHUNK = 16_384


@dataclass
class State:
    """Everything that moves during training."""

    generator: nn.Module
    critic: nn.Module
    generator_adam: torch.optim.Adam
    critic_adam: torch.optim.Adam
    batches: Batches
    noise: torch.Generator
    step: int = 0


class GeneratorSampler(Sampler):
    """A trained generator, batch norm in evaluation mode, fed with N(0, I)."""

    def __init__(self, generator: nn.Module, latent: int, shape: tuple[int, ...]) -> None:
        self._generator, self._latent, self._shape = generator.eval(), latent, shape

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        with torch.inference_mode():
            chunks = [
                self._generator(torch.randn(size, self._latent, generator=rng, device=rng.device))
                for size in _chunks(n, SAMPLE_CHUNK)
            ]
        return torch.cat(chunks).reshape(n, *self._shape).clone()

    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._generator.state_dict().items()}


@dataclass(frozen=True)
class AdversarialTrainer(Trainer):
    """Algorithm 1 of Goodfellow et al. 2014 with any loss: per generator step, `critic_steps`
    steps of the critic, every step on new data and new noise.

    Deviation: the paper's momentum SGD is whatever Adam the protocol names.
    """

    loss: Loss
    relativistic: bool
    generator: Mlp
    critic: Mlp
    initialisation: Initialisation
    generator_adam: Adam
    critic_adam: Adam
    latent: int
    batch: int
    total_steps: int
    critic_steps: int
    shape: tuple[int, ...]

    @property
    def steps(self) -> int:
        return self.total_steps

    def start(self, data: Data, rng: torch.Generator) -> State:
        generator, critic = self._networks(data.device)
        self.initialisation.apply(generator, rng)
        self.initialisation.apply(critic, rng)
        return State(
            generator,
            critic,
            _optimiser(generator, self.generator_adam),
            _optimiser(critic, self.critic_adam),
            data.batches(),
            rng,
        )

    def _networks(self, device: str) -> tuple[nn.Module, nn.Module]:
        size = int(torch.Size(self.shape).numel())
        generator, critic = self.generator.build(self.latent, size), self.critic.build(size, 1)
        return generator.to(device), critic.to(device)

    def advance(self, state: State, steps: int) -> State:
        value = torch.zeros(())
        for _ in range(steps):
            for _ in range(self.critic_steps):
                value = self._critic_step(state)
            value = value + self._generator_step(state)
        state.step += steps
        self._check(state, value)
        return state

    def _critic_step(self, state: State) -> Tensor:
        real = state.batches.next(self.batch)
        with torch.no_grad():
            fake = state.generator(self._noise(state))
        logits = state.critic(torch.cat([real, fake])).squeeze(1)
        loss = self.loss.critic(logits[: len(real)], logits[len(real) :]).mean()
        _descend(loss, state.critic, state.critic_adam)
        return loss.detach()

    def _generator_step(self, state: State) -> Tensor:
        fake = state.generator(self._noise(state))
        fake_logits = state.critic(fake).squeeze(1)
        real_logits = fake_logits
        if self.relativistic:
            with torch.no_grad():
                real_logits = state.critic(state.batches.next(self.batch)).squeeze(1)
        loss = self.loss.generator(real_logits, fake_logits).mean()
        _descend(loss, state.generator, state.generator_adam)
        return loss.detach()

    def _noise(self, state: State) -> Tensor:
        rng = state.noise
        return torch.randn(self.batch, self.latent, generator=rng, device=rng.device)

    def _check(self, state: State, value: Tensor) -> None:
        if not bool(torch.isfinite(value)):
            raise Diverged(f"the loss is {float(value)} at step {state.step}")
        for player in ("generator", "critic"):
            for name, weight in getattr(state, player).named_parameters():
                if not bool(torch.isfinite(weight).all()):
                    raise Diverged(f"{player} {name} is not finite at step {state.step}")

    def finish(self, state: State) -> GeneratorSampler:
        return GeneratorSampler(copy.deepcopy(state.generator), self.latent, self.shape)

    def pack(self, state: State) -> Tree:
        return {
            "step": state.step,
            "generator": _copy(state.generator.state_dict()),
            "critic": _copy(state.critic.state_dict()),
            "generator_adam": _pack_optimiser(state.generator_adam),
            "critic_adam": _pack_optimiser(state.critic_adam),
            "batches": state.batches.position(),
            "noise": state.noise.get_state(),
            "global": global_state(),
        }

    def unpack(self, data: Data, tree: Tree) -> State:
        noise = torch.Generator(device=data.device)
        state = self.start(data, noise)
        state.generator.load_state_dict(tree["generator"])
        state.critic.load_state_dict(tree["critic"])
        _unpack_optimiser(state.generator_adam, tree["generator_adam"])
        _unpack_optimiser(state.critic_adam, tree["critic_adam"])
        state.batches.seek(tree["batches"])
        noise.set_state(tree["noise"])
        set_global_state(tree["global"])
        state.step = int(tree["step"])
        return state

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> GeneratorSampler:
        generator, _ = self._networks(data.device)
        generator.load_state_dict(dict(tensors))
        return GeneratorSampler(generator, self.latent, self.shape)


def _optimiser(network: nn.Module, adam: Adam) -> torch.optim.Adam:
    return torch.optim.Adam(
        network.parameters(), lr=adam.lr, betas=adam.betas, eps=adam.eps, fused=True
    )


def _descend(loss: Tensor, network: nn.Module, optimiser: torch.optim.Adam) -> None:
    """One step; gradients are taken for this player's weights alone."""
    weights = list(network.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimiser.step()


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of their own, so that going on with a state leaves its packed tree alone."""
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _pack_optimiser(optimiser: torch.optim.Adam) -> Tree:
    state: Mapping[int, Mapping[str, Any]] = optimiser.state_dict()["state"]
    return [_copy(state[index]) for index in sorted(state)]


def _unpack_optimiser(optimiser: torch.optim.Adam, packed: Sequence[Mapping[str, Any]]) -> None:
    fresh = optimiser.state_dict()
    fresh["state"] = {index: _copy(slot) for index, slot in enumerate(packed)}
    optimiser.load_state_dict(fresh)


def _chunks(n: int, size: int) -> list[int]:
    return [size] * (n // size) + ([n % size] if n % size else [])

"""Translation learnt from pairs: a critic of patches, and the distance to the truth."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generative.contracts import Data, LabelledBatches, Loss, Trainer, Tree, TwoDomains
from generative.protocols.translation import TranslationProtocol
from generative.trainers.execution import PLAIN, Execution
from generative.trainers.optimisers import descend, optimiser
from generative.trainers.progress import Part, pack, refuse_broken, taken_up
from generative.trainers.translating import (
    NetworkTranslator,
    critic_loss,
    generator_loss,
    restored,
    slow_down,
    two_domains,
)


@dataclass
class PairedState:
    """Everything that moves during training. Without an adversary the critic stands still."""

    generator: nn.Module
    critic: nn.Module
    generator_adam: torch.optim.Optimizer
    critic_adam: torch.optim.Optimizer
    batches: LabelledBatches
    device: str
    step: int = 0

    @property
    def parts(self) -> dict[str, Part]:
        return {
            "generator": self.generator,
            "critic": self.critic,
            "generator_adam": self.generator_adam,
            "critic_adam": self.critic_adam,
            "batches": self.batches,
        }


@dataclass(frozen=True)
class PairedTrainer(Trainer):
    """pix2pix (Isola et al. 2017, equation 4) and what is left when a part of it is taken away.

    loss: the adversarial one over patches, or None for none. conditional: whether the critic sees
    the input beside the output. The generator minimises the adversarial loss plus the protocol's
    weight times the mean absolute error. Noise is dropout alone, as in the paper.
    """

    loss: Loss | None
    conditional: bool
    l1_weight: float
    rates: tuple[float, float]
    protocol: TranslationProtocol
    shape: tuple[int, ...]
    execution: Execution = PLAIN

    @property
    def steps(self) -> int:
        return self.protocol.steps

    def _players(self, data: TwoDomains) -> tuple[nn.Module, nn.Module]:
        generator = self.protocol.generator.build(data.first_shape, self.shape)
        channels = self.shape[0] + (data.first_shape[0] if self.conditional else 0)
        critic = self.protocol.critic.build(channels, self.shape)
        return generator.to(data.device), critic.to(data.device)

    def start(self, data: Data, rng: torch.Generator) -> PairedState:
        domains = two_domains(data)
        batches = domains.pairs()
        generator, critic = self._players(domains)
        for player in (generator, critic):
            self.protocol.initialisation.apply(player, rng)
            self.execution.prepared(player)
        adam = self.protocol.adam
        optimisers = optimiser(generator, adam), optimiser(critic, adam)
        return PairedState(generator, critic, *optimisers, batches, data.device)

    def advance(self, state: PairedState, steps: int) -> PairedState:
        value = torch.zeros(())
        for _ in range(steps):
            both = (state.generator_adam, state.critic_adam)
            slow_down(both, self.protocol, self.rates, state.step / self.steps)
            value = self._step(state)
            state.step += 1
        refuse_broken({"generator": state.generator, "critic": state.critic}, value, state.step)
        return state

    def _step(self, state: PairedState) -> Tensor:
        x, y = state.batches.next(self.protocol.batch)
        with self.execution.passes(state.device):
            fake = state.generator(x).float()
        judged = torch.zeros((), device=x.device)
        total = self.l1_weight * self.protocol.span * (fake - y).abs().mean()
        if self.loss is not None:
            judged = critic_loss(
                self.loss, self._logits(state, x, y), self._logits(state, x, fake.detach())
            )
            descend(judged, state.critic, state.critic_adam)
            total = total + generator_loss(self.loss, self._logits(state, x, fake))
        descend(total, state.generator, state.generator_adam)
        return judged.detach() + total.detach()

    def _logits(self, state: PairedState, x: Tensor, y: Tensor) -> Tensor:
        with self.execution.passes(state.device):
            return state.critic(torch.cat([x, y], 1) if self.conditional else y)

    def finish(self, state: PairedState) -> NetworkTranslator:
        return NetworkTranslator({"forward": copy.deepcopy(state.generator)})

    def pack(self, state: PairedState) -> Tree:
        return pack(state)

    def unpack(self, data: Data, tree: Tree) -> PairedState:
        return taken_up(self.start(data, torch.Generator(device=data.device)), tree)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> NetworkTranslator:
        return restored({"forward": self._players(two_domains(data))[0]}, tensors)

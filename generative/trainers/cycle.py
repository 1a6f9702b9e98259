"""Translation learnt from unpaired images: two generators that undo one another."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from generative.contracts import Data, LabelledBatches, Loss, Trainer, Tree, TwoDomains
from generative.protocols.translation import TranslationProtocol
from generative.trainers.execution import PLAIN, Execution
from generative.trainers.optimisers import descend
from generative.trainers.progress import Part, pack, refuse_broken, taken_up
from generative.trainers.translating import (
    NetworkTranslator,
    adam_of,
    critic_loss,
    generator_loss,
    restored,
    slow_down,
    two_domains,
)

FORWARD, BACKWARD = 0, 1


@dataclass
class Buffer:
    """Images that a generator made earlier: its critic sees one of them in the place of every other
    new one (Shrivastava et al. 2017, section 2.3).
    """

    size: int
    kept: list[Tensor] = field(default_factory=list)

    def exchange(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """The images, half of them replaced by earlier ones once there are enough."""
        if not self.size:
            return images
        shown = []
        for image in images:
            if len(self.kept) < self.size:
                self.kept.append(image.clone())
                shown.append(image)
                continue
            swap, place = torch.rand((), generator=rng), torch.rand((), generator=rng)
            if float(swap) < 0.5:
                shown.append(image)
                continue
            at = min(int(float(place) * self.size), self.size - 1)
            shown.append(self.kept[at])
            self.kept[at] = image.clone()
        return torch.stack(shown)

    def position(self) -> list[Tensor]:
        return [image.clone() for image in self.kept]

    def seek(self, position: list[Tensor]) -> None:
        self.kept = [image.clone() for image in position]


@dataclass
class CycleState:
    """Everything that moves during training; generators and critics by direction."""

    generators: nn.ModuleList
    critics: nn.ModuleList
    generator_adam: torch.optim.Optimizer
    critic_adam: torch.optim.Optimizer
    batches: LabelledBatches
    buffers: tuple[Buffer, Buffer]
    rng: torch.Generator
    device: str
    step: int = 0

    @property
    def parts(self) -> dict[str, Part]:
        return {
            "generators": self.generators,
            "critics": self.critics,
            "generator_adam": self.generator_adam,
            "critic_adam": self.critic_adam,
            "batches": self.batches,
            "forward_buffer": self.buffers[FORWARD],
            "backward_buffer": self.buffers[BACKWARD],
            "rng": self.rng,
        }


@dataclass(frozen=True)
class CycleTrainer(Trainer):
    """CycleGAN (Zhu et al. 2017, equation 3, with the identity loss of section 5.2) and what is
    left when a part of it is taken away.

    adversarial: the weight of the adversarial losses, 1 or 0. Deviation: the identity loss is
    left out where the domains differ in their channels.
    """

    loss: Loss
    adversarial: float
    cycle_weight: float
    identity_weight: float
    rates: tuple[float, float]
    protocol: TranslationProtocol
    shape: tuple[int, ...]
    execution: Execution = PLAIN

    @property
    def steps(self) -> int:
        return self.protocol.steps

    def _generators(self, data: TwoDomains) -> list[nn.Module]:
        first, second, build = data.first_shape, self.shape, self.protocol.generator.build
        return [build(first, second).to(data.device), build(second, first).to(data.device)]

    def start(self, data: Data, rng: torch.Generator) -> CycleState:
        domains, protocol = two_domains(data), self.protocol
        generators = self._generators(domains)
        critics = [
            protocol.critic.build(shape[0], shape).to(data.device)
            for shape in (self.shape, domains.first_shape)
        ]
        for player in (*generators, *critics):
            protocol.initialisation.apply(player, rng)
            self.execution.prepared(player)
        return CycleState(
            nn.ModuleList(generators),
            nn.ModuleList(critics),
            adam_of(generators, protocol.adam),
            adam_of(critics, protocol.adam),
            domains.domains(),
            (Buffer(protocol.buffer), Buffer(protocol.buffer)),
            torch.Generator().manual_seed(rng.initial_seed()),
            data.device,
        )

    def advance(self, state: CycleState, steps: int) -> CycleState:
        value = torch.zeros(())
        for _ in range(steps):
            both = (state.generator_adam, state.critic_adam)
            slow_down(both, self.protocol, self.rates, state.step / self.steps)
            value = self._step(state)
            state.step += 1
        networks = {"generator": state.generators, "critic": state.critics}
        refuse_broken(networks, value, state.step)
        return state

    def _step(self, state: CycleState) -> Tensor:
        reals = state.batches.next(self.protocol.batch)
        with self.execution.passes(state.device):
            fakes = self._made(state, reals)
            total = self._generator_loss(state, reals, fakes)
        descend(total, state.generators, state.generator_adam)
        if not self.adversarial:
            return total.detach()
        judged = torch.zeros((), device=total.device)
        targets = (reals[1], reals[0])
        for direction, critic in enumerate(state.critics):
            buffer = state.buffers[direction]
            shown = buffer.exchange(fakes[direction].detach().float(), state.rng)
            with self.execution.passes(state.device):
                logits = critic(targets[direction]), critic(shown)
            judged = judged + critic_loss(self.loss, *logits)
        descend(judged, state.critics, state.critic_adam)
        return total.detach() + judged.detach()

    def _made(self, state: CycleState, reals: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        forward, backward = state.generators
        return forward(reals[0]), backward(reals[1])

    def _generator_loss(
        self, state: CycleState, reals: tuple[Tensor, Tensor], fakes: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Both directions; critics keep their weights."""
        total, span = torch.zeros((), device=fakes[0].device), self.protocol.span
        for at in (FORWARD, BACKWARD):
            source, target, back = reals[at], reals[1 - at], state.generators[1 - at]
            if self.adversarial:
                total = total + generator_loss(self.loss, state.critics[at](fakes[at]))
            if self.cycle_weight:
                error = (back(fakes[at]).float() - source).abs().mean()
                total = total + self.cycle_weight * span * error
            if self.identity_weight and source.shape[1] == target.shape[1]:
                error = (state.generators[at](target).float() - target).abs().mean()
                total = total + self.identity_weight * span * error
        return total

    def finish(self, state: CycleState) -> NetworkTranslator:
        forward, backward = copy.deepcopy(state.generators)
        return NetworkTranslator({"forward": forward, "backward": backward})

    def pack(self, state: CycleState) -> Tree:
        return pack(state)

    def unpack(self, data: Data, tree: Tree) -> CycleState:
        return taken_up(self.start(data, torch.Generator(device=data.device)), tree)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> NetworkTranslator:
        forward, backward = self._generators(two_domains(data))
        return restored({"forward": forward, "backward": backward}, tensors)

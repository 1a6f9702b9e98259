"""Translation learnt from unpaired images: two generators that undo one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from generative.contracts import Constraint, Data, LabelledBatches, Loss, TwoDomains
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.translating import SLOWED, NetworkTranslator, restored, two_domains
from generative.protocols.translation import TranslationProtocol

FORWARD, BACKWARD = 0, 1
GENERATORS, CRITICS = "generators", "critics"
BUFFERS = ("forward_buffer", "backward_buffer")


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


@dataclass(frozen=True)
class Cycle(Game):
    """CycleGAN (Zhu et al. 2017, equation 3, with the identity loss of section 5.2) and what is
    left when a part of it is taken away.

    loss: the adversarial one over patches, or None for none. Generators and critics stand by
    direction. squared: whether the way back is told by squared distances and not by absolute ones.
    likeness_weight: of the absolute distance of what a generator makes to what it made it of.
    constraint: what keeps the critics inside a set of functions. critic_steps: of the critics a
    step of the generators, the first on what these have just made. Deviation: the identity loss and
    likeness are left out where the domains differ in their channels.
    """

    loss: Loss | None
    cycle_weight: float
    identity_weight: float
    protocol: TranslationProtocol
    shape: tuple[int, ...]
    squared: bool = False
    likeness_weight: float = 0.0
    constraint: Constraint | None = None
    critic_steps: int = 1

    @property
    def moves(self) -> tuple[Move, ...]:
        protocol, decay = self.protocol, self.protocol.decay
        generators = Move(
            GENERATORS,
            self._generator_loss,
            protocol.generator_adam,
            decay=decay,
        )
        critics = Move(
            CRITICS,
            self._critic_loss,
            protocol.critic_adam,
            times=self.critic_steps,
            fresh=False,
            decay=decay,
            after=self._settle if self.constraint else None,
        )
        return (generators, critics) if self.loss else (generators,)

    def _generators(self, domains: TwoDomains) -> nn.ModuleList:
        first, second, build = domains.first_shape, self.shape, self.protocol.generator.build
        return nn.ModuleList([build(first, second), build(second, first)])

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        domains, build = two_domains(data), self.protocol.critic.build
        generators = self._generators(domains)
        critics = nn.ModuleList(build(s[0], s) for s in (self.shape, domains.first_shape))
        players: Players = {GENERATORS: generators, CRITICS: critics}
        if self.constraint is not None:
            self.constraint.prepare(critics)
        return self.protocol.begun(players, data.device, rng)

    def _settle(self, table: Table) -> None:
        """Put the critics back into their set."""
        assert self.constraint is not None
        self.constraint.project(table.network(CRITICS))

    def batches(self, data: Data) -> LabelledBatches:
        return two_domains(data).domains()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        size, seed = self.protocol.buffer, rng.initial_seed()
        buffers = {name: Buffer(size) for name in BUFFERS}
        return Memory(data.device, **buffers, draws=torch.Generator().manual_seed(seed))

    def reals(self, table: Table) -> tuple[Tensor, Tensor]:
        return table.once("reals", lambda: table.batches.next(self.protocol.batch))

    def fakes(self, table: Table) -> tuple[Tensor, Tensor]:
        """What each generator makes of its domain."""

        def draw() -> tuple[Tensor, Tensor]:
            forward, backward = self._players(table, GENERATORS)
            first, second = self.reals(table)
            with table.passes():
                return forward(first), backward(second)

        return table.once("fakes", draw)

    def _players(self, table: Table, name: str) -> Any:
        return table.players[name]

    def _generator_loss(self, table: Table) -> list[Summand]:
        """Both directions; critics keep their weights."""
        found: list[Summand] = []
        reals, span = self.reals(table), self.protocol.span
        generators, critics = self._players(table, GENERATORS), self._players(table, CRITICS)
        with table.passes():
            fakes = self.fakes(table)
            for at in (FORWARD, BACKWARD):
                source, target = reals[at], reals[1 - at]
                if self.loss is not None:
                    logits = critics[at](fakes[at]).flatten().float()
                    found.append(Summand(self.loss.generator(logits, logits)))
                if self.cycle_weight:
                    error = (generators[1 - at](fakes[at]).float() - source).abs()
                    if self.squared:
                        found.append(Summand(error.square(), self.cycle_weight * span**2))
                    else:
                        found.append(Summand(error, self.cycle_weight * span))
                if self.likeness_weight and source.shape[1] == target.shape[1]:
                    error = (fakes[at].float() - source).abs()
                    found.append(Summand(error, self.likeness_weight * span))
                if self.identity_weight and source.shape[1] == target.shape[1]:
                    error = (generators[at](target).float() - target).abs()
                    found.append(Summand(error, self.identity_weight * span))
        return found

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        reals, fakes = self.reals(table), self.fakes(table)
        assert self.loss is not None
        for at, critic in enumerate(self._players(table, CRITICS)):
            buffer, draws = table.memory[BUFFERS[at]], table.memory["draws"]
            shown = buffer.exchange(fakes[at].detach().float(), draws)
            with table.passes():
                logits = critic(reals[1 - at]), critic(shown)
            value = self.loss.critic(*(each.flatten().float() for each in logits))
            yield Summand(value, SLOWED)

    def fitted(self, players: Players, data: Data) -> NetworkTranslator:
        forward, backward = players[GENERATORS].children()
        return NetworkTranslator({"forward": forward, "backward": backward})

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> NetworkTranslator:
        forward, backward = self._generators(two_domains(data)).to(data.device)
        return restored({"forward": forward, "backward": backward}, tensors)

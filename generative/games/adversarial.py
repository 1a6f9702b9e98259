"""A generator against a critic: Goodfellow et al. 2014, Algorithm 1, with any loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from generative.conditioning import Conditioning
from generative.contracts import (
    Batches,
    Constraint,
    Data,
    Decoder,
    LabelledBatches,
    Loss,
    Penalty,
)
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.networks import critic_of
from generative.protocols.base import Protocol
from generative.samplers import ConditionalGeneratorSampler, GeneratorSampler, load

GENERATOR, CRITIC = "generator", "critic"

Condition = tuple[Tensor, ...]
"""The labels of a batch, or nothing."""


@dataclass(frozen=True)
class Adversarial(Game):
    """Per generator step, `critic_steps` steps of the critic, every step on new data and new noise.

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

    @property
    def steps(self) -> int:
        return self.protocol.steps

    @property
    def moves(self) -> tuple[Move, ...]:
        protocol = self.protocol
        critic = Move(
            CRITIC,
            lambda table: [*self._critic_loss(table)],
            protocol.critic_adam,
            times=protocol.critic_steps,
            after=self._project,
        )
        generator = Move(
            GENERATOR,
            lambda table: [*self._generator_loss(table)],
            protocol.generator_adam,
            fresh=not protocol.shared,
            average=protocol.average,
        )
        return critic, generator

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        making, judging, told = self.protocol.generator, self.protocol.critic, self.conditioning
        latent, shape = self.protocol.latent, self.shape
        if told is None:
            generator, critic = making.generator(latent, shape), critic_of(judging, shape)
        else:
            generator = told.generator(making, latent, shape, data.classes)
            critic = told.critic(judging, shape, data.classes)
        generator, critic = generator.to(data.device), critic.to(data.device)
        if rng is not None:
            self.protocol.initialise(generator, critic, rng)
        if self.constraint is not None:
            self.constraint.prepare(critic)
        return {GENERATOR: generator, CRITIC: critic}

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return data.batches() if self.conditioning is None else data.labelled_batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        real, told = self._reals(table)
        fake, asked = self._fakes(table)
        fake = fake if table.attached else fake.detach()
        yield Summand(self.loss.critic(*self._logits(table, real, told, fake, asked)))
        if self.penalty is not None:
            critic = table.players[CRITIC]
            value = self.penalty(lambda x: critic(x, *told), real, fake, table.rng)
            yield Summand(value, self.penalty_weight)

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        fake, asked = self._fakes(table)
        fake_logits = real_logits = self._judged(table, fake, asked)
        if self.relativistic:
            real, told = self._reals(table)
            with torch.set_grad_enabled(table.attached):
                real_logits = self._judged(table, real, told)
        yield Summand(self.loss.generator(real_logits, fake_logits))

    def _project(self, table: Table) -> None:
        if self.constraint is not None:
            critic: torch.nn.Module = table.players[CRITIC]  # type: ignore[assignment]
            self.constraint.project(critic)

    def _reals(self, table: Table) -> tuple[Tensor, Condition]:
        """The next batch, and its labels where the players are told them."""

        def draw() -> tuple[Tensor, Condition]:
            drawn = table.batches.next(self.protocol.batch)
            return (drawn, ()) if isinstance(drawn, Tensor) else (drawn[0], (drawn[1],))

        return table.once("reals", draw)

    def _fakes(self, table: Table) -> tuple[Tensor, Condition]:
        """New ones: for the critic of the classes of its reals, else of classes drawn evenly."""

        def draw() -> tuple[Tensor, Condition]:
            noise, rng = self.protocol.codes(self.protocol.batch, table.rng), table.rng
            told: Condition = ()
            if self.conditioning is not None and table.mover == CRITIC:
                told = self._reals(table)[1]
            elif self.conditioning is not None:
                shape, classes = (self.protocol.batch,), table.data.classes
                told = (torch.randint(classes, shape, generator=rng, device=rng.device),)
            kept = table.attached or table.keeps or table.mover == GENERATOR
            with torch.set_grad_enabled(kept), table.passes():
                return table.players[GENERATOR](noise, *told).float(), told

        return table.once("fakes", draw)

    def _judged(self, table: Table, x: Tensor, told: Condition) -> Tensor:
        with table.passes():
            return table.players[CRITIC](x, *told).float()

    def _logits(
        self, table: Table, real: Tensor, told: Condition, fake: Tensor, asked: Condition
    ) -> tuple[Tensor, Tensor]:
        """Of reals and of fakes, in one pass where an example's logit is its own."""
        if self.protocol.critic.mixes:
            with table.passes():
                return self._judged(table, real, told), self._judged(table, fake, asked)
        both = tuple(torch.cat(labels) for labels in zip(told, asked, strict=True))
        logits = self._judged(table, torch.cat([real, fake]), both)
        return logits[: len(real)], logits[len(real) :]

    def fitted(self, players: Players, data: Data) -> Decoder:
        generator, critic = players[GENERATOR], players[CRITIC]
        if self.conditioning is None:
            return GeneratorSampler(generator, critic, self.protocol, self.shape)
        return ConditionalGeneratorSampler(
            generator, critic, self.protocol, self.shape, data.classes
        )

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Decoder:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)

"""A generator against a critic: Goodfellow et al. 2014, Algorithm 1, with any parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

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
)
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR, critic_first
from generative.measured import fit_measured
from generative.networks import critic_of, filters_of
from generative.parts import (
    CriticForm,
    GeneratorForm,
    Judged,
    Moving,
    Sight,
    Sighted,
    Term,
    TermFacts,
    View,
)
from generative.protocols.base import Protocol
from generative.samplers import GeneratorSampler, UncontestedSampler, load

LOSS, TERM, LOGITS, CODES, LABELS = "loss", "term", "logits", "codes", "labels"

Condition = tuple[Tensor, ...]
"""What the players are told of a batch, or nothing."""

T = TypeVar("T")


@dataclass(frozen=True)
class Adversarial(Game):
    """Per generator step, `critic_steps` steps of the critic, every step on new data and new noise.

    Penalties are added to the critic's loss, each with its weight; one of weight 0 is left out. A
    constraint is applied after each of the critic's steps. A critic with batch norm sees reals and
    fakes in batches of their own. view: what the critic sees of examples; a batch is of what it
    sees. terms: what a player minimises beside its loss, or in its place. forms: what the players
    are made of the protocol's layers; compares: whether the critic's compares examples of a batch.
    conditioning: how both players are told the class; the critic's fakes have the classes of its
    reals, new ones for the generator are drawn evenly. Deviation: the optimisers are the
    protocol's.
    """

    loss: Loss
    relativistic: bool
    protocol: Protocol
    shape: tuple[int, ...]
    penalties: tuple[tuple[Penalty, float], ...] = ()
    constraint: Constraint | None = None
    view: View | None = None
    terms: tuple[tuple[Term, TermFacts], ...] = ()
    critic_form: CriticForm | None = None
    generator_form: GeneratorForm | None = None
    compares: bool = False
    conditioning: Conditioning | None = None

    @property
    def _compared(self) -> bool:
        """Whether the critic judges no single example: it sees several, or batch mates."""
        return self.compares or (self.view is not None and self.view.together() > 1)

    @property
    def _drawn(self) -> int:
        """Examples of a batch."""
        return self.protocol.batch * (1 if self.view is None else self.view.together())

    @property
    def moves(self) -> tuple[Move, ...]:
        return critic_first(
            self.protocol, self._critic_loss, self._generator_loss, after=self._settle
        )

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        width = data.classes if self.conditioning is None else self.conditioning.width(data)
        generator, critic = (each.to(data.device) for each in self.built(width))
        if rng is not None:
            self.protocol.initialise(generator, critic, rng)
            fit_measured(critic, data)
            if self.generator_form is not None:
                codes = self.protocol.codes(self.protocol.batch, rng)
                self.generator_form.begin(generator, codes)
        if self.constraint is not None:
            self.constraint.prepare(critic)
        return {GENERATOR: generator, CRITIC: critic}

    def built(self, told: int) -> tuple[nn.Module, nn.Module]:
        """Generator and critic as PyTorch initialises them; told: the width of what they are told.
        Raises UsageError for layers that forms can't be made of.
        """
        making, judging, latent = (
            self.protocol.generator,
            self.protocol.critic,
            self.protocol.latent,
        )
        if self.conditioning is not None:
            return (
                self.conditioning.generator(making, latent, self.shape, told),
                self.conditioning.critic(judging, self.shape, told),
            )
        seen = self.shape if self.view is None else self.view.shape(self.shape)
        generator = (
            making.generator(latent, self.shape)
            if self.generator_form is None
            else self.generator_form.build(making, latent, self.shape, self.protocol.batch)
        )
        if self.critic_form is None:
            return generator, critic_of(judging, seen)
        return generator, self.critic_form.build(judging, making, seen)

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return data.batches() if self.conditioning is None else self.conditioning.batches(data)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        real, told = self._reals(table)
        fake, asked = self._fakes(table)
        fake = fake if table.attached else fake.detach()
        x, made = self._shown(table, real), self._shown(table, fake)
        of_real, of_fake = self._told_apart(table, x, told, made, asked)
        table.leave(LOGITS, (of_real[0], of_fake[0]))
        table.note("logit_of_real", lambda: of_real[0])
        table.note("logit_of_fake", lambda: of_fake[0])
        sight = Sight(
            self._loss(table, real, fake),
            lambda: real,
            lambda: fake,
            lambda: table.once(CODES, tuple),
            lambda: of_real,
            lambda: of_fake,
            lambda: self._epoch(table),
            lambda sight: sight.loss.critic(sight.of_real[0], sight.of_fake[0]),
            lambda: filters_of(table.network(CRITIC)),
            lambda: told,
            lambda: asked,
        )
        yield from self._stakes(table, CRITIC, sight)
        critic = table.players[CRITIC]
        for penalty, weight in self.penalties:
            if weight:
                yield Summand(penalty(lambda x: critic(x, *told), x, made, table.rng), weight)

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        fake, asked = self._fakes(table)

        def of_real() -> Judged:
            real, told = self._reals(table)
            with torch.set_grad_enabled(table.attached):
                return self._judged(table, self._shown(table, real), told)

        sight = Sight(
            self._now(table, LOSS, self.loss),
            lambda: self._reals(table)[0],
            lambda: fake,
            lambda: table.once(CODES, tuple),
            of_real,
            lambda: self._judged(table, self._shown(table, fake), asked),
            lambda: self._epoch(table),
            self._generator_stake,
            lambda: filters_of(table.network(GENERATOR)),
            lambda: self._reals(table)[1],
            lambda: asked,
        )
        yield from self._stakes(table, GENERATOR, sight)

    def _generator_stake(self, sight: Sight) -> Tensor:
        """Reals are looked at where the loss compares."""
        fake = sight.of_fake[0]
        return sight.loss.generator(sight.of_real[0] if self.relativistic else fake, fake)

    def _stakes(self, table: Table, player: str, sight: Sight) -> Iterator[Summand]:
        """A player's loss, unless a term replaces it, and its terms; those of weight 0 are not
        looked at.
        """
        terms = [
            (self._now(table, f"{TERM}{at}", term), facts)
            for at, (term, facts) in enumerate(self.terms)
            if facts.player == player and term.weight
        ]
        if not any(facts.replaces for _, facts in terms):
            yield Summand(sight.stake())
        for term, _ in terms:
            yield Summand(term(sight), term.weight)

    def _loss(self, table: Table, real: Tensor, fake: Tensor) -> Loss:
        loss: Any = self._now(table, LOSS, self.loss)
        return loss.seeing(real, fake) if isinstance(loss, Sighted) else loss

    def _now(self, table: Table, role: str, part: T) -> T:
        """A part with its numbers as they are by now."""
        if not isinstance(part, Moving):
            return part
        kept = {
            name.removeprefix(f"{role}."): value
            for name, value in table.memory.items()
            if name.startswith(f"{role}.")
        }
        now: Any = part
        return replace(now, **kept) if kept else now

    def _settle(self, table: Table) -> None:
        """After a step of the critic: the constraint, and numbers that move."""
        if self.constraint is not None:
            self.constraint.project(table.network(CRITIC))
        parts = {LOSS: self.loss} | {f"{TERM}{at}": term for at, (term, _) in enumerate(self.terms)}
        for role, part in parts.items():
            now = self._now(table, role, part)
            if isinstance(now, Moving):
                real, fake = (each.detach() for each in table.once(LOGITS, tuple))
                for name, value in now.moved(real, fake, self._epoch(table)).items():
                    kept = torch.as_tensor(value, dtype=real.dtype, device=real.device)
                    table.memory[f"{role}.{name}"] = kept

    def _epoch(self, table: Table) -> int:
        """How often the training has been through its examples."""
        step = round(table.progress * self.protocol.steps) * self.protocol.critic_steps
        return step * self._drawn // max(1, len(table.data.training))

    def _reals(self, table: Table) -> tuple[Tensor, Condition]:
        """The next batch, and its labels where the players are told them."""

        def draw() -> tuple[Tensor, Condition]:
            drawn = table.batches.next(self._drawn)
            if isinstance(drawn, Tensor) or self.conditioning is None:
                return drawn if isinstance(drawn, Tensor) else drawn[0], ()
            table.leave(LABELS, drawn[1])
            return drawn[0], (self.conditioning.told(drawn[1], table.data),)

        return table.once("reals", draw)

    def _fakes(self, table: Table) -> tuple[Tensor, Condition]:
        """New ones: for the critic of the classes of its reals, else of classes drawn evenly."""

        def draw() -> tuple[Tensor, Condition]:
            codes, rng = self.protocol.codes(self._drawn, table.rng), table.rng
            table.leave(CODES, codes)
            told: Condition = ()
            if self.conditioning is not None and table.mover == CRITIC:
                told = self._reals(table)[1]
            elif self.conditioning is not None:
                told = (self.conditioning.drawn(self._drawn, table.data, rng),)
            kept = table.attached or table.keeps or table.mover == GENERATOR
            with torch.set_grad_enabled(kept), table.passes():
                return table.players[GENERATOR](codes, *told).float(), told

        return table.once("fakes", draw)

    def _shown(self, table: Table, x: Tensor) -> Tensor:
        """Examples as the critic sees them."""
        return x if self.view is None else self.view(x, table.rng, table.progress)

    @property
    def _featured(self) -> bool:
        """Whether a term looks at the critic's features."""
        return any(facts.features and term.weight for term, facts in self.terms)

    def _judged(self, table: Table, x: Tensor, told: Condition) -> Judged:
        """Logits, and features where a term looks at them; else the logits again."""
        with table.passes():
            if self._featured:
                logits, features = table.players[CRITIC](x, *told, features=True)
                return logits.float(), features.float()
            logits = table.players[CRITIC](x, *told).float()
            return logits, logits

    def _told_apart(
        self, table: Table, real: Tensor, told: Condition, fake: Tensor, asked: Condition
    ) -> tuple[Judged, Judged]:
        """Reals and fakes judged, in one pass where an example's logit is its own."""
        if self.compares or self.protocol.critic.mixes:
            with table.passes():
                return self._judged(table, real, told), self._judged(table, fake, asked)
        both = tuple(torch.cat(labels) for labels in zip(told, asked, strict=True))
        logits, features = self._judged(table, torch.cat([real, fake]), both)
        n = len(real)
        of_real, of_fake = logits[:n], logits[n:]
        if features is logits:
            return (of_real, of_real), (of_fake, of_fake)
        return (of_real, features[:n]), (of_fake, features[n:])

    def fitted(self, players: Players, data: Data) -> Decoder:
        generator, critic = players[GENERATOR], players[CRITIC]
        if self.conditioning is None:
            model = GeneratorSampler(generator, critic, self.protocol, self.shape)
            return UncontestedSampler(model) if self._compared else model
        return self.conditioning.fitted(generator, critic, self.protocol, self.shape, data)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Decoder:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)

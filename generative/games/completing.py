"""Context encoders: a picture's hole filled in, by the distance to the truth and by a critic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.completing import Completing, Context, hidden
from generative.contracts import Batches, Completer, Data, Loss
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR, alone, critic_first
from generative.holes import KINDS, drawn
from generative.networks import critic_of
from generative.protocols.base import Protocol
from generative.samplers import load_weights
from generative.training import SHARE

SPAN = 2.0
"""The range of an image in the distance that the paper weighs: from -1 to 1."""


@dataclass(frozen=True)
class Split:
    """How much of what the generator minimises is the critic's; the rest is the distance to the
    truth. A critic of share 0 is not there.
    """

    adversarial_share: Annotated[float, SHARE] = 1e-3


@dataclass(frozen=True)
class Completed(Game):
    """A context encoder (Pathak et al. 2016, equations 1 to 3): the squared distance over hidden
    pixels, of images in [-1, 1], and a critic of pictures of which those alone are made.

    loss: None for no critic. Deviations: for a hole in the middle the authors' critic sees the hole
    alone; their distance weighs a rim of the hole ten times, their encoder has a rate ten times as
    high as its critic's; grey for the mean training pixel in the hole; batch norm as in the
    protocol's networks.
    """

    loss: Loss | None
    context: Context
    split: Split
    protocol: Protocol
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.context.hole not in KINDS:
            expected = " or ".join(KINDS)
            raise UsageError(f"hole: expected {expected}, got '{self.context.hole}'")

    @property
    def moves(self) -> tuple[Move, ...]:
        if not self.split.adversarial_share:
            return (alone(self.protocol, self._generator_loss),)
        return critic_first(self.protocol, self._critic_loss, self._generator_loss)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules = self.protocol
        players = {GENERATOR: self.context.build(rules, self.shape).to(data.device)}
        if rng is not None:
            rules.initialisation.apply(players[GENERATOR], rng)
        if self.split.adversarial_share:
            critic = critic_of(rules.critic, self.shape).to(data.device)
            if rng is not None:
                rules.initialise_critic(critic, rng)
            players[CRITIC] = critic
        return players

    def batches(self, data: Data) -> Batches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _drawn(self, table: Table) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures, which pixels are known of each, [n, 1, h, w], and all that the generator makes
        of them.
        """

        def draw() -> tuple[Tensor, Tensor, Tensor]:
            images: Any = table.batches.next(self.protocol.batch)
            known = drawn(self.context.hole, len(images), self.shape[1:], table.rng)[:, None]
            kept = table.attached or table.keeps or table.mover == GENERATOR
            with torch.set_grad_enabled(kept), table.passes():
                return images, known, table.players[GENERATOR](hidden(images, known)).float()

        return table.once("drawn", draw)

    def _logits(self, table: Table, images: Tensor) -> Tensor:
        with table.passes():
            return table.players[CRITIC](images).float()

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        real, known, made = self._drawn(table)
        whole = torch.where(known, real, made if table.attached else made.detach())
        assert self.loss is not None
        yield Summand(self.loss.critic(self._logits(table, real), self._logits(table, whole)))

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        (real, known, made), share = self._drawn(table), self.split.adversarial_share
        if share < 1:
            errors = (SPAN * (made - real)).square() * ~known
            found = errors.sum((1, 2, 3)) / (real.shape[1] * (~known).sum((1, 2, 3)))
            yield Summand(found, 1 - share)
        if share:
            logits = self._logits(table, torch.where(known, real, made))
            assert self.loss is not None
            yield Summand(self.loss.generator(logits, logits), share)

    def fitted(self, players: Players, data: Data) -> Completer:
        return Completing(players[GENERATOR], self.context.hole, data)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Completer:
        network = self.context.build(self.protocol, self.shape).to(data.device)
        load_weights(network, dict(tensors), GENERATOR)
        return Completing(network, self.context.hole, data)

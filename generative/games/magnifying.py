"""Super-resolution: fine images of coarse ones, by their distance to the truth and by a critic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.contracts import Batches, Data, Loss, Magnifier
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR, alone, critic_first
from generative.magnifying import Magnifying, Upscaler, coarsened
from generative.networks import critic_of
from generative.parts import View
from generative.protocols.base import Protocol
from generative.samplers import load_weights
from generative.training import WEIGHT

SPAN = 2.0
"""The range of an image in the distances that the papers weigh: from -1 to 1."""


@dataclass(frozen=True)
class Balance:
    """What the generator minimises: `content_weight` times the squared distance to the truth, the
    mean over pixels of images in [-1, 1], and `adversarial_weight` times what the critic says. A
    critic of weight 0 is not there.
    """

    content_weight: Annotated[float, WEIGHT] = 1.0
    adversarial_weight: Annotated[float, WEIGHT] = 1e-3


@dataclass(frozen=True)
class Magnified(Game):
    """SRGAN with the squared error for its content loss (Ledig et al. 2017, equation 3: the row
    SRGAN-MSE of their table 1), and AffGAN (Sonderby et al. 2017), whose network is projected onto
    what is consistent and follows its critic alone.

    loss: None for no critic. view: what it sees of reals and fakes alike, None as they are. Coarse
    images are means of blocks. Deviations: no features of a network trained on photos (the content
    loss of SRGAN's last rows is VGG's): the one frozen network of digits is the judge that scores
    rest on; the paper's coarse images are bicubic.
    """

    loss: Loss | None
    upscaler: Upscaler
    balance: Balance
    view: View | None
    protocol: Protocol
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not (self.balance.content_weight or self.balance.adversarial_weight):
            raise UsageError(
                "content_weight and adversarial_weight are both 0: nothing is left to be learnt"
            )

    @property
    def moves(self) -> tuple[Move, ...]:
        if not self.balance.adversarial_weight:
            return (alone(self.protocol, self._generator_loss),)
        return critic_first(self.protocol, self._critic_loss, self._generator_loss)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules = self.protocol
        players = {GENERATOR: self.upscaler.build(self.shape).to(data.device)}
        if self.balance.adversarial_weight:
            critic = critic_of(rules.critic, self.shape).to(data.device)
            if rng is not None:
                rules.initialise_critic(critic, rng)
            players[CRITIC] = critic
        return players

    def batches(self, data: Data) -> Batches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _drawn(self, table: Table) -> tuple[Tensor, Tensor]:
        """True images, and what the generator makes of the coarse ones of them."""

        def draw() -> tuple[Tensor, Tensor]:
            images: Any = table.batches.next(self.protocol.batch)
            coarse = coarsened(images, self.upscaler.factor)
            kept = table.attached or table.keeps or table.mover == GENERATOR
            with torch.set_grad_enabled(kept), table.passes():
                return images, table.players[GENERATOR](coarse).float()

        return table.once("drawn", draw)

    def _logits(self, table: Table, images: Tensor) -> Tensor:
        seen = images if self.view is None else self.view(images, table.rng, table.progress)
        with table.passes():
            return table.players[CRITIC](seen).float()

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        real, fake = self._drawn(table)
        fake = fake if table.attached else fake.detach()
        assert self.loss is not None
        yield Summand(self.loss.critic(self._logits(table, real), self._logits(table, fake)))

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        (real, fake), balance = self._drawn(table), self.balance
        if balance.content_weight:
            yield Summand((SPAN * (fake - real)).square(), balance.content_weight)
        if balance.adversarial_weight:
            logits = self._logits(table, fake)
            assert self.loss is not None
            yield Summand(self.loss.generator(logits, logits), balance.adversarial_weight)

    def fitted(self, players: Players, data: Data) -> Magnifier:
        return Magnifying(players[GENERATOR], self.upscaler.factor, data)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Magnifier:
        network = self.upscaler.build(self.shape).to(data.device)
        load_weights(network, dict(tensors), GENERATOR)
        return Magnifying(network, self.upscaler.factor, data)

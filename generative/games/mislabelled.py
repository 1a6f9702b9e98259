"""A conditional GAN whose critic also sees real images under labels that are not theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from generative.contracts import Labels
from generative.games.adversarial import LABELS, LOGITS
from generative.games.base import Move, Summand, Table
from generative.games.turns import CRITIC
from generative.games.wrapped import ExtendedGan
from generative.protocols.base import Protocol


@dataclass(frozen=True)
class Mislabelled(ExtendedGan):
    """The GAN with the images of the critic's batch once more, each under another class, drawn
    evenly, and taken for fake (Perarnau et al. 2016, arXiv:1611.06355, as the authors' code has
    it).

    mismatch: c, the share of those in what the critic takes for fake; it minimises
    a(real) + (1 - c) b(fake) + c b(mislabelled), where its loss is a(real) + b(fake), with c = 1/2
    in the authors' code. c = 0 is the GAN, bit for bit. own: one whose players are told the class.
    """

    mismatch: float
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        critic, generator = self.own.moves
        return replace(critic, objective=self._critic_loss), generator

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        (stake, weight), *others = self.own.moves[0].objective(table)
        yield Summand(stake, weight * (1 - self.mismatch))
        yield from others
        if self.mismatch:
            of_real, images = table.once(LOGITS, tuple)[0], table.once("reals", tuple)[0]
            wrong = other_classes(table.once(LABELS, tuple), table.data.classes, table.rng)
            with table.passes():
                of_wrong = table.players[CRITIC](images, wrong).float()
            yield Summand(self.own.loss.critic(of_real, of_wrong), weight * self.mismatch)


def other_classes(labels: Labels, classes: int, rng: torch.Generator) -> Labels:
    """For each label another one, all others alike likely; the same where there is one class."""
    if classes == 1:
        return labels
    ahead = torch.randint(1, classes, labels.shape, generator=rng, device=rng.device)
    return (labels + ahead) % classes

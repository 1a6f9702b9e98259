"""A conditional GAN whose critic also sees real images under labels that are not theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from generative.contracts import Batches, Data, Decoder, LabelledBatches, Labels
from generative.games.adversarial import LABELS, LOGITS, Adversarial
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC
from generative.protocols.base import Protocol


@dataclass(frozen=True)
class Mislabelled(Game):
    """The GAN with the images of the critic's batch once more, each under another class, drawn
    evenly, and taken for fake (Perarnau et al. 2016, arXiv:1611.06355, as the authors' code has
    it).

    mismatch: c, the share of those in what the critic takes for fake; it minimises
    a(real) + (1 - c) b(fake) + c b(mislabelled), where its loss is a(real) + b(fake), with c = 1/2
    in the authors' code. c = 0 is the GAN, bit for bit. gan: one whose players are told the class.
    """

    gan: Adversarial
    mismatch: float
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        critic, generator = self.gan.moves
        return replace(critic, objective=self._critic_loss), generator

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        (stake, weight), *others = self.gan.moves[0].objective(table)
        yield Summand(stake, weight * (1 - self.mismatch))
        yield from others
        if self.mismatch:
            of_real, images = table.once(LOGITS, tuple)[0], table.once("reals", tuple)[0]
            wrong = other_classes(table.once(LABELS, tuple), table.data.classes, table.rng)
            with table.passes():
                of_wrong = table.players[CRITIC](images, wrong).float()
            yield Summand(self.gan.loss.critic(of_real, of_wrong), weight * self.mismatch)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self.gan.players(data, rng)

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.gan.batches(data)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.gan.memory(data, rng)

    def fitted(self, players: Players, data: Data) -> Decoder:
        return self.gan.fitted(players, data)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Decoder:
        return self.gan.restored(data, tensors)


def other_classes(labels: Labels, classes: int, rng: torch.Generator) -> Labels:
    """For each label another one, all others alike likely; the same where there is one class."""
    if classes == 1:
        return labels
    ahead = torch.randint(1, classes, labels.shape, generator=rng, device=rng.device)
    return (labels + ahead) % classes

"""GANs whose critic says classes, and is told those of a few examples: semi-supervised learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from generative.classcritics import log_classes
from generative.contracts import (
    Batches,
    Codes,
    Contested,
    Data,
    LabelledBatches,
    Labeller,
    Labels,
    Logits,
)
from generative.games.adversarial import Adversarial
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR
from generative.parts import CriticForm
from generative.protocols.base import Protocol
from generative.samplers import GeneratorSampler, load
from generative.training import WEIGHT

TOLD = "told"
"""In a game's memory the stream of examples with a class, which no other stream has a part in."""


@dataclass(frozen=True)
class Learning:
    """What counts how much to a classifier: the cross-entropy of examples with a class, and all
    that is learned from others and from what is made; with 0 it learns from the few labels alone.
    """

    class_weight: Annotated[float, WEIGHT] = 1.0
    unlabelled_weight: Annotated[float, WEIGHT] = 1.0


def labelled(table: Table, n: int) -> tuple[Tensor, Labels]:
    """The next examples that have a class, and their classes."""
    return table.once(TOLD, lambda: table.memory[TOLD].next(n))


def missed(logits: Float[Tensor, "n classes"], labels: Labels) -> Float[Tensor, " n"]:
    """-log p(y | x) in nats, of logits as they are: softmax is taken here, and once."""
    return cross_entropy(logits.float(), labels, reduction="none")


class TaughtSampler(Contested, Labeller):
    """A trained generator, and the critic that classifies."""

    def __init__(self, own: GeneratorSampler, critic: nn.Module) -> None:
        self.own, self.prior, self._critic = own, own.prior, critic.eval()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.own.sample(n, rng)

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self.own.codes(n, rng)

    def decode(self, z: Codes) -> Tensor:
        return self.own.decode(z)

    def logits(self, x: Tensor) -> Logits:
        return self.own.logits(x)

    def classify(self, x: Tensor) -> Tensor:
        return log_classes(self._critic, x)

    def tensors(self) -> dict[str, Tensor]:
        return self.own.tensors()


@dataclass(frozen=True)
class Taught(Game):
    """A GAN whose critic minimises class_weight CE(labelled) + unlabelled_weight share L, where L
    is its own loss over examples without a class and over fakes, and CE the cross-entropy of
    examples with one, drawn from a stream of their own. The generator's move is the GAN's.

    own: the GAN. form: of its critic, by the number of classes. share: of L where both weights are
    1, as the model's paper has it.
    """

    own: Adversarial
    form: Callable[[int], CriticForm]
    learning: Learning
    share: float = 1.0

    @property
    def protocol(self) -> Protocol:
        return self.own.protocol

    @property
    def moves(self) -> tuple[Move, ...]:
        critic, generator = self.own.moves
        return replace(critic, objective=self._critic_loss), generator

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        if weight := self.learning.class_weight:
            x, labels = labelled(table, self.protocol.batch)
            with table.passes():
                said = table.players[CRITIC](x, classes=True)
            yield Summand(missed(said, labels), weight)
        if weight := self.share * self.learning.unlabelled_weight:
            for value, own in self.own.moves[0].objective(table):
                yield Summand(value, weight * own)

    def _saying(self, data: Data) -> Adversarial:
        """The GAN with a critic of the data's classes."""
        return replace(self.own, critic_form=self.form(data.classes))

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self._saying(data).players(data, rng)

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.own.batches(data)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        told: Any = data.labelled_batches()
        return Memory(data.device, **{TOLD: told}, **self.own.memory(data, rng))

    def fitted(self, players: Players, data: Data) -> TaughtSampler:
        generator, critic = players[GENERATOR], players[CRITIC]
        own = GeneratorSampler(generator, critic, self.protocol, self.own.shape)
        return TaughtSampler(own, critic)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> TaughtSampler:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)

"""The domain transfer network (Taigman, Polyak & Wolf 2017, arXiv:1611.02200): a translator of what
a fixed network sees in an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bench.core.errors import UsageError
from generative.contents import CONTENT, Beforehand, Content, content_of, recognising
from generative.contracts import Batches, ClassedDomains, Data, LabelledBatches
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.translating import NetworkTranslator, restored, two_domains
from generative.games.turns import CRITIC, GENERATOR
from generative.networks import Network, Shape
from generative.protocols.translation import TranslationProtocol
from generative.training import WEIGHT

OF_FIRST, OF_SECOND, REAL = 0, 1, 2
"""What the critic tells apart: what is made of images of either domain, and the second domain."""
KINDS = 3
NEGATIVE = 0.5
"""How often f sees an image's negative as it learns: house numbers are light on dark, or dark on
light, and what learns from one kind alone says nothing of digits of the other.
"""
TOLD = "told"
"""The stream of images with their classes."""


@dataclass(frozen=True)
class Constancy:
    """constancy_weight: of the squared distance of what is in an image and in its translation.
    itself_weight: of that of an image of the second domain and its own translation.
    """

    constancy_weight: Annotated[float, WEIGHT] = 15.0
    itself_weight: Annotated[float, WEIGHT] = 15.0


class Composed(nn.Module):
    """G(x) = g(f(x)); f in evaluation, as it is fixed."""

    def __init__(self, content: Content, generator: nn.Module) -> None:
        super().__init__()
        self.content, self.generator = content, generator

    def forward(self, x: Tensor) -> Tensor:
        return self.generator(self.content.seen(x))


@dataclass(frozen=True)
class Transferring(Game):
    """Equations 3 to 7. First f alone learns the classes of the first domain's images, then it is
    fixed; s and t are of the first and the second domain, G(x) = g(f(x)):

        L_D = - log D1(G(s)) - log D2(G(t)) - log D3(t)
        L_G = - log D3(G(s)) - log D3(G(t)) + a |f(s) - f(G(s))|^2 + b |t - G(t)|^2,

    D_i the probability of kind i of three to the critic; distances are means over numbers of f and
    over pixels, those in [-1, 1] where the protocol's `span` is 2.

    layers: of f without batch norm, g and D. Deviations: f is learnt within the training, from the
    images and classes of the first domain that it is played with and their negatives, where theirs
    comes from many house numbers; it ends in tanh; no total variation; each kind of image passes
    the critic in a batch of its own.
    """

    layers: Network
    beforehand: Beforehand
    constancy: Constancy
    protocol: TranslationProtocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        rules, used = self.protocol, self.beforehand.used
        return (
            Move(CONTENT, self._content_loss, rules.critic_adam, during=self.beforehand.learnt),
            Move(CRITIC, self._critic_loss, rules.critic_adam, decay=rules.decay, during=used),
            Move(
                GENERATOR,
                self._generator_loss,
                rules.generator_adam,
                fresh=False,
                decay=rules.decay,
                during=used,
            ),
        )

    def _shapes(self, data: Data) -> tuple[Shape, Shape]:
        return two_domains(data).first_shape, self.shape

    def _content(self, data: Data) -> Content:
        size, classes = self.beforehand.content_size, _classed(data).first_classes
        return recognising(self.layers, self._shapes(data), size, classes)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        players: Players = {
            GENERATOR: self.layers.generator(self.beforehand.content_size, self.shape),
            CRITIC: self.layers.encoder(self.shape, KINDS),
            CONTENT: self._content(data),
        }
        return self.protocol.begun(players, data.device, rng)

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return two_domains(data).domains()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device, **{TOLD: _classed(data).labelled_first()})

    def _content_loss(self, table: Table) -> Iterator[Summand]:
        x, labels = table.memory[TOLD].next(self.protocol.batch)
        turned = torch.rand(len(x), 1, 1, 1, generator=table.rng, device=x.device) < NEGATIVE
        with table.passes():
            said = table.players[CONTENT](torch.where(turned, 1 - x, x))
        yield Summand(cross_entropy(said.float(), labels, reduction="none"))

    def _reals(self, table: Table) -> tuple[Tensor, Tensor]:
        return table.once("reals", lambda: table.batches.next(self.protocol.batch))

    def _made(self, table: Table) -> tuple[tuple[Tensor, Tensor], ...]:
        """f(x), and G(x), of either domain."""

        def draw() -> tuple[tuple[Tensor, Tensor], ...]:
            return tuple(self._of(table, x) for x in self._reals(table))

        return table.once("made", draw)

    def _of(self, table: Table, x: Tensor) -> tuple[Tensor, Tensor]:
        content = content_of(table.network(CONTENT))
        with table.passes():
            with torch.no_grad():
                seen = content.seen(x)
            return seen.float(), table.players[GENERATOR](seen).float()

    def _taken_for(self, table: Table, images: Tensor, kind: int) -> Tensor:
        """-log D_kind."""
        with table.passes():
            logits = table.players[CRITIC](images)
        labels = torch.full((len(images),), kind, device=images.device)
        return cross_entropy(logits.float(), labels, reduction="none")

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        (_, of_first), (_, of_second) = self._made(table)
        yield Summand(self._taken_for(table, of_first.detach(), OF_FIRST))
        yield Summand(self._taken_for(table, of_second.detach(), OF_SECOND))
        yield Summand(self._taken_for(table, self._reals(table)[1], REAL))

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        (seen, of_first), (_, of_second) = self._made(table)
        for made in (of_first, of_second):
            yield Summand(self._taken_for(table, made, REAL))
        if weight := self.constancy.constancy_weight:
            content = content_of(table.network(CONTENT))
            with table.passes():
                again = content.seen(of_first)
            yield Summand((seen - again.float()).square(), weight)
        if weight := self.constancy.itself_weight:
            error = (self._reals(table)[1] - of_second).square()
            yield Summand(error, weight * self.protocol.span**2)

    def fitted(self, players: Players, data: Data) -> NetworkTranslator:
        return NetworkTranslator({"forward": _composed(players)})

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> NetworkTranslator:
        return restored({"forward": _composed(self.players(data, None))}, dict(tensors))


def _composed(players: Players) -> Composed:
    return Composed(content_of(players[CONTENT]), players[GENERATOR])


def _classed(data: Data) -> ClassedDomains:
    """The data as two domains whose first has classes. Raises UsageError where they are others."""
    two_domains(data)
    if not isinstance(data, ClassedDomains) or not data.first_classes:
        raise UsageError(
            "this model learns from classes of the first domain what is to be kept, and these "
            "images have none: choose edges@digits, or another model"
        )
    return data

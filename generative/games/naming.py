"""TAC-GAN (Dash et al. 2017, arXiv:1703.06412): text to image against a critic that is aware of
matching, as GAN-CLS has it, and that names the class of what it sees, as AC-GAN's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from generative.captionclasses import NamedCaptions, kinds_told, with_subjects
from generative.contracts import Captions, Data, Decoder, Labels
from generative.games.adversarial import LABELS
from generative.games.base import Move, Players, Summand, Table
from generative.games.matching import Matching
from generative.games.turns import CRITIC
from generative.games.wrapped import Extended
from generative.protocols.base import Protocol


class Recalled:
    """Data whose wrong images leave their captions in a list."""

    def __init__(self, data: Data, captions: list[Captions]) -> None:
        self._data, self._captions = with_subjects(data), captions

    def others(self, tokens: Captions, rng: torch.Generator) -> Tensor:
        """As the data's."""
        images, captions = self._data.others_told(tokens, rng)
        self._captions.append(captions)
        return images


@dataclass(frozen=True)
class Naming(Extended):
    """GAN-CLS, and beside its losses, each weighed `count`: the critic minimises the cross-entropy
    of the class of reals under their class, of what it sees wrongly captioned under the class of
    the image, and of fakes under that of the caption that was asked for; the generator that of its
    fakes. The authors' code has all of them, by sigmoids; here by softmax, as AC-GAN's. Deviation:
    the generator makes one step for one of the critic, in the code two.

    own: the game without classes, of no means of captions, whose critic can name them.
    """

    own: Matching
    count: float
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        critic, generator = self.own.moves
        return (
            replace(critic, objective=self._critic_loss),
            replace(generator, objective=self._generator_loss),
        )

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        wrong: list[Captions] = []
        seen: Any = lambda data: Recalled(data, wrong)  # noqa: E731
        own, named = replace(self.own, seen=seen), list[Tensor]()
        with table.playing(**{CRITIC: _overheard(table, named)}):
            yield from list(own.moves[0].objective(table))
        data = with_subjects(table.data)
        told = [table.once(LABELS, tuple)] * 2 + wrong
        kinds = torch.cat([data.kind_of(captions) for captions in told])
        for part in self._unnamed(torch.cat(named), kinds).split(self.protocol.batch):
            yield Summand(part, self.count)

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        named = list[Tensor]()
        with table.playing(**{CRITIC: _overheard(table, named)}):
            yield from list(self.own.moves[1].objective(table))
        (vectors,) = table.once("fakes", tuple)[1]
        kinds = kinds_told(vectors, with_subjects(table.data))
        yield Summand(self._unnamed(torch.cat(named), kinds), self.count)

    def _unnamed(self, logits: Tensor, kinds: Labels) -> Tensor:
        """-log of the share of the right class, in nats, of each."""
        return cross_entropy(logits.float(), kinds, reduction="none")

    def _told(self, data: Data) -> Matching:
        """The game, its critic naming as many classes as the data have."""
        conditioning = self.own.own.conditioning
        assert isinstance(conditioning, NamedCaptions)
        told = replace(self.own.own, conditioning=conditioning.of(data))
        return replace(self.own, own=told)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self._told(data).players(data, rng)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Decoder:
        return self._told(data).restored(data, tensors)


def _overheard(table: Table, named: list[Tensor]) -> Callable[..., Tensor]:
    """The critic as it judges; what it names is kept, in the order of its passes."""
    critic = table.players[CRITIC]

    def judge(x: Tensor, vectors: Tensor) -> Tensor:
        logits, kinds = critic(x, vectors, features=True)
        named.append(kinds)
        return logits

    return judge

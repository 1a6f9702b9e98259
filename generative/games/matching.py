"""Text to image against a critic that is aware of matching: Reed et al. 2016, arXiv:1605.05396."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from generative.conditioning import captioned
from generative.contracts import Captioned, Data
from generative.games.adversarial import CODES, LABELS, LOGITS
from generative.games.base import Move, Summand, Table
from generative.games.turns import CRITIC, GENERATOR
from generative.games.wrapped import ExtendedGan
from generative.protocols.base import Protocol


@dataclass(frozen=True)
class Matching(ExtendedGan):
    """A GAN whose players are told captions, with real images beside captions of others.

    mismatch: c, the share of the wrong pairs in what the critic takes for fake; the critic
    minimises a(real) + (1 - c) b(fake) + c b(wrong), where its loss is a(real) + b(fake)
    (Algorithm 1 with c = 1/2). Its optimum on data p, captions independent in wrong pairs, is
    p / (p + (1 - c) p_g + c p(x) p(t)), and the generator's is then not p: it matches more often
    than the data do. c = 0 is the plain conditional GAN, bit for bit. A wrong image is a training
    image of another caption; deviation: the authors' code takes one of another class.

    interpolation: the weight of a second loss of the generator, over half as many samples told
    `beta` of one caption's vector and the rest of another's (equation 5; beta = 1/2 and weight 1 in
    the authors' code). The critic never sees those.

    divergence: the weight of what a generator that draws its caption's numbers pays for them, over
    the captions of its samples; 0 for one that doesn't. seen: the data as the players see them.
    """

    mismatch: float
    interpolation: float
    beta: float
    protocol: Protocol
    shape: tuple[int, ...]
    divergence: float = 0.0
    seen: Callable[[Data], Captioned] = captioned

    @property
    def moves(self) -> tuple[Move, ...]:
        critic, generator = self.own.moves
        return (
            replace(critic, objective=self._critic_loss),
            replace(generator, objective=self._generator_loss),
        )

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        (stake, weight), *others = self.own.moves[0].objective(table)
        yield Summand(stake, weight * (1 - self.mismatch))
        yield from others
        if self.mismatch:
            of_real = table.once(LOGITS, tuple)[0]
            told = table.once("reals", tuple)[1]
            wrong = self.seen(table.data).others(table.once(LABELS, tuple), table.rng)
            of_wrong = _judged(table, wrong, *told)
            yield Summand(self.own.loss.critic(of_real, of_wrong), weight * self.mismatch)

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        yield from self.own.moves[1].objective(table)
        (vectors,) = table.once("fakes", tuple)[1]
        if self.divergence:
            with table.passes():
                paid = table.players[GENERATOR](table.once(CODES, tuple), vectors, divergence=True)
            yield Summand(paid.float(), self.divergence)
        if self.interpolation:
            half = len(vectors) // 2
            between = self.beta * vectors[:half] + (1 - self.beta) * vectors[half : 2 * half]
            codes = self.protocol.codes(half, table.rng)
            with table.passes():
                fake = table.players[GENERATOR](codes, between).float()
            logits = _judged(table, fake, between)
            yield Summand(self.own.loss.generator(logits, logits), self.interpolation)


def _judged(table: Table, x: Tensor, *told: Tensor) -> Tensor:
    with table.passes():
        return table.players[CRITIC](x, *told).float()

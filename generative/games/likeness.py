"""VAE-GAN: a variational autoencoder that is told by a critic what is alike (Larsen et al. 2016,
arXiv:1512.09300).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.core.randomness import stream
from generative.contracts import Data, PerExample
from generative.games.adversarial import LOGITS
from generative.games.base import Memory, Move, Summand, Table
from generative.games.inferred import Inferred
from generative.games.turns import CRITIC, GENERATOR
from generative.inference import (
    ENCODER,
    divergence,
)

NOISE = "inference"


@dataclass(frozen=True)
class Likeness(Inferred):
    """Three players (Algorithm 1). f: what the critic's last layer sees of an example; x' = G(z')
    with z' drawn from q(z|x).

    The critic minimises its loss of reals and fakes; a share `rebuilt_share` of the fakes' part is
    about x', the rest about samples of the prior. The encoder minimises KL(q(z|x) || p(z)), times
    `divergence_weight`, plus |f(x) - f(x')|^2 / 2, the negative log-likelihood of f(x) under
    N(f(x'), I), up to a constant: it never hears whether x' is taken for real. The generator
    minimises its loss of both kinds of fakes, and `feature_weight` times the same distance.

    Moves: the critic; the encoder on its batch; the generator on new ones unless the protocol
    shares them. q's noise has a stream of its own: with `feature_weight` and `rebuilt_share` 0 the
    generator and the critic are those of the plain GAN, to the bit. Deviations: fakes of both
    kinds together weigh as much as the reals, where the paper adds up three parts alike; nobody
    waits for anybody (the authors' code skips moves of a player who is far ahead); no batch norm in
    the encoder, which starts as PyTorch has it, nor in the critic, whose features are then an
    example's own.
    """

    divergence_weight: float
    feature_weight: float
    rebuilt_share: float

    @property
    def moves(self) -> tuple[Move, ...]:
        critic, generator = self.gan.moves
        rules = self.protocol
        encoder = Move(
            ENCODER,
            self._encoder_loss,
            rules.generator_adam,
            fresh=False,
            average=rules.average,
        )
        return (
            replace(critic, objective=self._critic_loss),
            encoder,
            replace(generator, objective=self._generator_loss),
        )

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        noise = stream("vae-gan", rng.initial_seed(), device=data.device)
        return Memory(data.device, **{NOISE: noise})

    def _reals(self, table: Table) -> Tensor:
        """The batch that the GAN sees, or would."""
        drawn = table.once("reals", lambda: (table.batches.next(self.protocol.batch), ()))
        return drawn[0]

    def _outputs(self, table: Table) -> Tensor:
        """What the encoder says of them."""
        with table.passes():
            return table.players[ENCODER](self._reals(table)).float()

    def _rebuilt(self, table: Table, outputs: Tensor) -> Tensor:
        """x', of new draws."""
        z = self.inference.drawn(outputs, table.memory[NOISE])
        with table.passes():
            return table.players[GENERATOR](z).float()

    def _apart(self, table: Table, rebuilt: Tensor) -> tuple[PerExample, Tensor]:
        """How far x' is from x to the critic, and its logits of x'."""
        with torch.no_grad():
            wanted = _judged(table, self._reals(table))[1]
        logits, features = _judged(table, rebuilt)
        return (wanted - features).square().sum(1) / 2, logits

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        (stake, weight), *others = self.gan.moves[0].objective(table)
        yield Summand(stake, weight * (1 - self.rebuilt_share))
        yield from others
        if self.rebuilt_share:
            of_real, _ = table.once(LOGITS, tuple)
            with torch.no_grad():
                rebuilt = self._rebuilt(table, self._outputs(table))
            logits, _ = _judged(table, rebuilt)
            yield Summand(self.gan.loss.critic(of_real, logits), weight * self.rebuilt_share)

    def _encoder_loss(self, table: Table) -> Iterator[Summand]:
        outputs = self._outputs(table)
        apart, _ = self._apart(table, self._rebuilt(table, outputs))
        yield Summand(divergence(*self.inference.moments(outputs)), self.divergence_weight)
        yield Summand(apart)

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        (stake, weight), *others = self.gan.moves[1].objective(table)
        yield Summand(stake, weight * (1 - self.rebuilt_share))
        yield from others
        if not (self.rebuilt_share or self.feature_weight):
            return
        with torch.no_grad():
            outputs = self._outputs(table)
        apart, logits = self._apart(table, self._rebuilt(table, outputs))
        if self.rebuilt_share:
            yield Summand(self.gan.loss.generator(logits, logits), weight * self.rebuilt_share)
        if self.feature_weight:
            yield Summand(apart, self.feature_weight)


def _judged(table: Table, x: Tensor) -> tuple[Tensor, Tensor]:
    """The critic's logits [n] and features [n, d]."""
    with table.passes():
        logits, features = table.players[CRITIC](x, features=True)
    return logits.float(), features.float()

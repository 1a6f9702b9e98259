"""AdaGAN (Tolstikhin et al. 2017, arXiv:1701.02386): what its rounds play, by turns a judge of the
mixture so far, and a GAN of what that mixture lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from bench.core.randomness import stream
from generative.contracts import Batches, Data, LabelledBatches, Logits
from generative.games.adversarial import Adversarial
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR
from generative.games.wrapped import Wrapped
from generative.measured import fit_measured
from generative.mixtures import Weighted
from generative.networks import critic_of
from generative.protocols.base import Protocol
from generative.reweighting import Reweighted, Share, lacking
from generative.samplers import GeneratorSampler, UncontestedSampler, load, part_of

CERTAIN = 18.0
"""Logits beyond are taken for it: ratios of 1e-8 to 1e8, as in the authors' code."""


class Judge(nn.Module):
    """Examples to logits [n], the log-odds of the data against a mixture; and the seed of the
    batches that are drawn by what it says.
    """

    seed: Tensor

    def __init__(self, body: nn.Module, seed: int) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("seed", torch.tensor(seed))

    def forward(self, x: Tensor) -> Logits:
        return self.body(x)


@dataclass(frozen=True)
class Judging(Game):
    """A critic that starts anew learns to tell the data from what a finished mixture draws, as many
    of either in a step, by the logistic loss: at its best the logit is log p(x) / p_mixture(x). It
    is the protocol's, without batch norm, so that it judges every example by itself (deviation from
    the authors' code for images), by the critic's optimiser.
    """

    protocol: Protocol
    shape: tuple[int, ...]
    before: UncontestedSampler

    @property
    def moves(self) -> tuple[Move, ...]:
        return (Move(CRITIC, self._loss, self.protocol.critic_adam),)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules, seed = self.protocol, 0
        body = critic_of(rules.critic.unmixed(), self.shape).to(data.device)
        if rng is not None:
            (rules.bare or rules.initialisation).apply(body, rng)
            fit_measured(body, data)
            seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        return {CRITIC: Judge(body, seed).to(data.device)}

    def batches(self, data: Data) -> Batches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _loss(self, table: Table) -> Iterator[Summand]:
        real = table.batches.next(self.protocol.batch)
        assert isinstance(real, Tensor)
        fake = self.before.decode(self.before.codes(len(real), table.rng))
        with table.passes():
            of_real, of_fake = table.players[CRITIC](torch.cat([real, fake])).float().chunk(2)
        yield Summand(softplus(-of_real) + softplus(of_fake))

    def fitted(self, players: Players, data: Data) -> UncontestedSampler:
        """The mixture as it was, and the judge."""
        network, judge = self.before.own.network, players[CRITIC]
        return UncontestedSampler(GeneratorSampler(network, judge, self.protocol, self.shape))

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> UncontestedSampler:
        players = self.players(data, None)
        load(dict(tensors), self.before.own.network, players[CRITIC])
        return self.fitted(players, data)


def lacked(model: UncontestedSampler, examples: Tensor, share: float) -> Share:
    """What examples count for the next component, by the judge of a model."""
    parts = examples.split(part_of(tuple(examples.shape[1:])))
    logits = torch.cat([model.own.logits(part) for part in parts])
    return lacking((-logits.double().clamp(-CERTAIN, CERTAIN)).exp(), share)


@dataclass(frozen=True)
class Boosting(Wrapped):
    """A GAN of what a mixture lacks, and the mixture with it.

    own: the GAN. share: of all that the new mixture draws. before: the mixture so far and its
    judge; None for the first GAN, which sees the data as they are. The training set is drawn with
    replacement by its weights; where data are drawn afresh, it is as many as an estimator gets.
    """

    own: Adversarial
    share: float
    before: UncontestedSampler | None = None

    @final
    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self.own.players(data, rng)

    @final
    def batches(self, data: Data) -> Batches | LabelledBatches:
        if self.before is None:
            return self.own.batches(data)
        judge, examples = self.before.own.critic, data.training
        assert isinstance(judge, Judge)
        rng = stream("reweighted", int(judge.seed), device=data.device)
        return Reweighted(examples, lacked(self.before, examples, self.share), rng)

    @final
    def fitted(self, players: Players, data: Data) -> UncontestedSampler:
        return self._model(self._so_far().joined(players[GENERATOR], self.share).to(data.device))

    def _so_far(self) -> Weighted:
        if self.before is None:
            return Weighted([], [], self.protocol.prior)
        network = self.before.own.network
        assert isinstance(network, Weighted)
        return network

    def _model(self, network: Weighted) -> UncontestedSampler:
        own = GeneratorSampler(network, None, self.protocol, self.own.shape)
        return UncontestedSampler(own)

    @final
    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> UncontestedSampler:
        weights = tensors.get("weights", torch.ones(1))
        networks = [self.own.built(data.classes)[0] for _ in weights]
        network = Weighted(networks, weights, self.protocol.prior).to(data.device)
        load(dict(tensors), network, None)
        return self._model(network)

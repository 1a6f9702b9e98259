"""MIX+GAN (Arora et al. 2017, arXiv:1703.00573): mixed generators against mixed critics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.contracts import Batches, Codes, Data, Logits, Loss
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, GENERATOR, critic_first
from generative.generators.several import drawn_by, shares_by
from generative.measured import fit_measured
from generative.networks import critic_of
from generative.protocols.base import Prior, Protocol
from generative.samplers import GeneratorSampler, load
from generative.training import WEIGHT, Bounds

Weights = Float[Tensor, " parts"]
Apart = Float[Tensor, "parts n"]


@dataclass(frozen=True)
class Mixture:
    """parts: how many generators, and as many critics. entropy_weight: of what keeps the weights of
    either from 0.
    """

    parts: Annotated[int, Bounds(1, 64)] = 3
    entropy_weight: Annotated[float, WEIGHT] = 0.1


class MixedGenerators(nn.Module):
    """Codes to examples, each by a network that is as likely as its weight: softmax of logits."""

    def __init__(self, networks: Sequence[nn.Module], prior: Prior) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.prior: Prior = prior
        self.logits = nn.Parameter(torch.zeros(len(networks)))

    def forward(self, z: Codes, apart: bool = False) -> Any:
        """apart: the examples of all networks, of the same codes, [parts, n, ...], and the
        logarithms of their weights.
        """
        if apart:
            made = torch.stack([network(z) for network in self.networks])
            return made, self.logits.log_softmax(0)
        place, own = shares_by(z, self.logits.detach().softmax(0), self.prior)
        return drawn_by(self.networks, place, own)


class MixedCritics(nn.Module):
    """Examples to the mean logit of the networks by their weights: softmax of logits."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.logits = nn.Parameter(torch.zeros(len(networks)))

    def forward(self, x: Tensor, apart: bool = False) -> Any:
        """apart: the logits of all, [parts, n], and the logarithms of their weights."""
        judged = torch.stack([network(x) for network in self.networks])
        weights = self.logits.log_softmax(0)
        return (judged, weights) if apart else weights.exp() @ judged


def payoff(
    value: Callable[[int, int], Logits], of_generators: Weights, of_critics: Weights
) -> Logits:
    """Of each of the batch, the sum over all pairs of a generator and a critic (by number) of their
    value, weighed by the product of their weights; given as logarithms.
    """
    w, v = of_generators.exp(), of_critics.exp()
    pairs = [[v[j] * value(i, j) for j in range(len(v))] for i in range(len(w))]
    return torch.stack([w[i] * torch.stack(row).sum(0) for i, row in enumerate(pairs)]).sum(0)


@dataclass(frozen=True)
class Mixing(Game):
    """As many generators as critics, and weights of both: the critics minimise

        sum over i, j of w_i v_j loss(G_i, D_j) + entropy_weight * -(1 / parts) * sum of log v_j

    and the generators the same of their loss, with log w_i; weights are moved with their player,
    by its optimiser. All generators see the same codes, so that a step makes `parts` times the
    batch of fakes, and every critic judges them all (the authors' code). A critic with batch norm
    sees reals and the fakes of each generator in batches of their own. loss: one that compares no
    reals with fakes. Deviations: optimisers and steps are the protocol's, where the authors' code
    makes up to seven steps of the generators by how low the critics' loss is.
    """

    loss: Loss
    mixture: Mixture
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        return critic_first(self.protocol, self._critic_loss, self._generator_loss)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules, parts = self.protocol, range(self.mixture.parts)
        making = [rules.generator.generator(rules.latent, self.shape) for _ in parts]
        judging = [critic_of(rules.critic, self.shape) for _ in parts]
        generator = MixedGenerators(making, rules.prior).to(data.device)
        critic = MixedCritics(judging).to(data.device)
        if rng is not None:
            rules.initialise(generator, critic, rng)
            fit_measured(critic, data)
        return {GENERATOR: generator, CRITIC: critic}

    def batches(self, data: Data) -> Batches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _fakes(self, table: Table) -> tuple[Tensor, Weights]:
        """Of every generator, [parts, n, ...], and the logarithms of the generators' weights."""

        def draw() -> tuple[Tensor, Weights]:
            codes = self.protocol.codes(self.protocol.batch, table.rng)
            kept = table.attached or table.keeps or table.mover == GENERATOR
            with torch.set_grad_enabled(kept), table.passes():
                made, weights = table.players[GENERATOR](codes, apart=True)
            return made.float(), weights.float()

        return table.once("fakes", draw)

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        real = table.once("reals", lambda: table.batches.next(self.protocol.batch))
        fakes, of_generators = self._fakes(table)
        if not table.attached:
            fakes, of_generators = fakes.detach(), of_generators.detach()
        x, y, of_critics = self._told_apart(table, real, fakes)

        def value(i: int, j: int) -> Logits:
            return self.loss.critic(x[j], y[i][j])

        yield Summand(payoff(value, of_generators, of_critics))
        yield Summand(-of_critics, self.mixture.entropy_weight)

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        fakes, of_generators = self._fakes(table)
        y, of_critics = self._judged(table, fakes)

        def value(i: int, j: int) -> Logits:
            return self.loss.generator(y[i][j], y[i][j])

        yield Summand(payoff(value, of_generators, of_critics))
        yield Summand(-of_generators, self.mixture.entropy_weight)

    def _pass(self, table: Table, x: Tensor) -> tuple[Apart, Weights]:
        with table.passes():
            judged, weights = table.players[CRITIC](x, apart=True)
        return judged.float(), weights.float()

    def _judged(self, table: Table, fakes: Tensor) -> tuple[Sequence[Apart], Weights]:
        """By generator, then by critic; and the logarithms of the critics' weights."""
        if self.protocol.critic.mixes:
            found = [self._pass(table, fake) for fake in fakes]
            return [judged for judged, _ in found], found[0][1]
        judged, weights = self._pass(table, fakes.flatten(0, 1))
        return judged.split(fakes.shape[1], 1), weights

    def _told_apart(
        self, table: Table, real: Tensor, fakes: Tensor
    ) -> tuple[Apart, Sequence[Apart], Weights]:
        """Reals and fakes, in one pass where an example's logit is its own."""
        if self.protocol.critic.mixes:
            of_real, _ = self._pass(table, real)
            return of_real, *self._judged(table, fakes)
        judged, weights = self._pass(table, torch.cat([real, fakes.flatten(0, 1)]))
        of_real, *of_fakes = judged.split(len(real), 1)
        return of_real, of_fakes, weights

    def fitted(self, players: Players, data: Data) -> GeneratorSampler:
        return GeneratorSampler(players[GENERATOR], players[CRITIC], self.protocol, self.shape)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> GeneratorSampler:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)

"""Adversarially learned inference: an encoder and a generator against a critic of pairs (Dumoulin
et al. 2017, arXiv:1606.00704; Donahue et al. 2017, arXiv:1605.09782; VEEGAN, arXiv:1705.07761).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from generative.contracts import Autoencoder, Batches, Codes, Data, Loss
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.turns import CRITIC, critic_first
from generative.inference import Inference, InferringSampler, load_inferrer
from generative.measured import fit_measured
from generative.pairs import critic_of_pairs
from generative.protocols.base import Protocol
from generative.samplers import GeneratorSampler

CODER = "coder"


class Coder(nn.Module):
    """An encoder and a generator that move together."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


@dataclass(frozen=True)
class Joint(Game):
    """The critic tells pairs (x, E(x)) of real examples, its reals, from pairs (G(z), z) of drawn
    codes, its fakes; E and G make them alike. At the best critic of the logistic loss the value is
    log 4 - 2 JS(q(x, z), p(x, z)): where E and G have a common joint distribution, E infers.

    loss: by logits. G minimises its generator's part of the fakes, E the same of the reals with the
    sign of every logit changed, as reals and fakes exchanged have it. Both are needed: without E's
    nothing trains E. inference: what the encoder says. code_weight: of |z - E(G(z))|^2, summed over
    the code, which both minimise beside that; 0 leaves it out.

    Critic, then E and G together with the generator's optimiser, on new examples and codes unless
    the protocol shares them. A critic with batch norm sees reals and fakes in batches of their own;
    the encoder has none, and starts as PyTorch has it. Deviations: those, and the layers of E,
    which are the critic's.
    """

    loss: Loss
    inference: Inference
    code_weight: float
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        return critic_first(self.protocol, self._critic_loss, self._coder_loss, player=CODER)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules = self.protocol
        generator = rules.generator.generator(rules.latent, self.shape)
        critic = critic_of_pairs(rules.critic, self.shape, rules.latent)
        encoder = self.inference.build(rules.critic, self.shape, rules.latent)
        coder = Coder(encoder, generator).to(data.device)
        critic = critic.to(data.device)
        if rng is not None:
            rules.initialise(generator, critic, rng)
            fit_measured(coder, data)
            fit_measured(critic, data)
        return {CODER: coder, CRITIC: critic}

    def batches(self, data: Data) -> Batches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _reals(self, table: Table) -> tuple[Tensor, Codes]:
        """The next batch, and the codes that are inferred of it."""

        def draw() -> tuple[Tensor, Codes]:
            x = table.batches.next(self.protocol.batch)
            assert isinstance(x, Tensor)
            with torch.set_grad_enabled(self._kept(table)), table.passes():
                outputs = _coder(table).encoder(x).float()
            return x, self.inference.drawn(outputs, table.rng)

        return table.once("reals", draw)

    def _fakes(self, table: Table) -> tuple[Tensor, Codes]:
        """What is made of drawn codes, and these."""

        def draw() -> tuple[Tensor, Codes]:
            z = self.protocol.codes(self.protocol.batch, table.rng)
            with torch.set_grad_enabled(self._kept(table)), table.passes():
                return _coder(table).decoder(z).float(), z

        return table.once("fakes", draw)

    def _kept(self, table: Table) -> bool:
        return table.attached or table.keeps or table.mover == CODER

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        (x, inferred), (made, z) = self._reals(table), self._fakes(table)
        if not table.attached:
            inferred, made = inferred.detach(), made.detach()
        yield Summand(self.loss.critic(_judged(table, x, inferred), _judged(table, made, z)))

    def _coder_loss(self, table: Table) -> Iterator[Summand]:
        (x, inferred), (made, z) = self._reals(table), self._fakes(table)
        of_real, of_fake = _judged(table, x, inferred), _judged(table, made, z)
        yield Summand(self.loss.generator(of_real, of_fake))
        yield Summand(self.loss.generator(-of_fake, -of_real))
        if self.code_weight:
            with table.passes():
                again = self.inference.mean(_coder(table).encoder(made).float())
            yield Summand((z - again).square().sum(1), self.code_weight)

    def fitted(self, players: Players, data: Data) -> Autoencoder:
        coder = players[CODER]
        assert isinstance(coder, Coder)
        own = GeneratorSampler(coder.decoder, None, self.protocol, self.shape)
        return InferringSampler(own, coder.encoder, self.inference)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Autoencoder:
        players = self.players(data, None)
        coder = players[CODER]
        assert isinstance(coder, Coder)
        load_inferrer(dict(tensors), coder.decoder, None, coder.encoder)
        return self.fitted(players, data)


def _coder(table: Table) -> Any:
    return table.players[CODER]


def _judged(table: Table, x: Tensor, z: Codes) -> Tensor:
    with table.passes():
        return table.players[CRITIC](x, z).float()

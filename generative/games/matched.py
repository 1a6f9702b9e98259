"""The adversarial autoencoder: codes of examples against draws of the prior (Makhzani et al. 2016,
arXiv:1511.05644).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from generative.contracts import Batches, Codes, Data, LabelledBatches, Loss, Sampler
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.encoding import CODER, Coder, Encoding
from generative.inference import Inference, InferringSampler, load_inferrer
from generative.networks import Mlp, Network, critic_of
from generative.protocols.base import Protocol
from generative.samplers import GeneratorSampler

CRITIC = "critic"
BESIDE = Mlp((256, 256), "leaky_relu")
"""The critic's layers where the protocol's are not dense: codes have no places."""


def dense_of(network: Network) -> Mlp:
    """The layers of a critic of codes."""
    return network if isinstance(network, Mlp) else BESIDE


@dataclass(frozen=True)
class Matched(Game):
    """What an autoencoder minimises, and `prior_weight` times a GAN's generator loss of its codes:
    the critic's reals are draws of the prior, its fakes are the codes of a batch. At the game's
    optimum the codes of the data are distributed as the prior is, which samples are then decoded
    of. Weight 0 is the autoencoder, to the bit, whose codes are drawn from a Gaussian of its own.

    The critic, then the coder on the same batch. Deviations: one step of Adam on the sum, where the
    paper takes one for each of the two; the critic before it; the rate of both falls as that of the
    autoencoder.
    """

    coding: Encoding
    loss: Loss
    prior_weight: float
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        (coder,) = self.coding.moves
        if not self.prior_weight:
            return (coder,)
        rules = self.protocol
        critic = Move(
            CRITIC,
            self._critic_loss,
            rules.critic_adam,
            times=rules.critic_steps,
            decay=coder.decay,
        )
        return critic, replace(coder, objective=self._coder_loss, fresh=False)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        own = self.coding.players(data, rng)
        if not self.prior_weight:
            return own
        critic = critic_of(dense_of(self.protocol.critic), (self.protocol.latent,))
        return {**own, CRITIC: critic.to(data.device)}

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return self.coding.batches(data)

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.coding.memory(data, rng)

    def _inferred(self, table: Table) -> Codes:
        """The codes of a batch."""
        coder: Any = table.players[CODER]
        with table.passes():
            return coder.encoder(self.coding.reals(table)).float()

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        with torch.set_grad_enabled(table.attached):
            inferred = self._inferred(table)
        drawn = self.protocol.codes(len(inferred), table.rng)
        yield Summand(self.loss.critic(_judged(table, drawn), _judged(table, inferred)))

    def _coder_loss(self, table: Table) -> Iterator[Summand]:
        yield from self.coding.moves[0].objective(table)
        of_fake = _judged(table, self._inferred(table))
        yield Summand(self.loss.generator(of_fake, of_fake), self.prior_weight)

    def fitted(self, players: Players, data: Data) -> Sampler:
        if not self.prior_weight:
            return self.coding.fitted(players, data)
        return self._inferring(players[CODER])

    def _inferring(self, coder: object) -> Sampler:
        assert isinstance(coder, Coder)
        own = GeneratorSampler(coder.decoder, None, self.protocol, self.shape)
        return InferringSampler(own, coder.encoder, Inference(spread=False))

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        if not self.prior_weight:
            return self.coding.restored(data, tensors)
        coder = self.players(data, None)[CODER]
        assert isinstance(coder, Coder)
        load_inferrer(dict(tensors), coder.decoder, None, coder.encoder)
        return self._inferring(coder)


def _judged(table: Table, z: Codes) -> Tensor:
    with table.passes():
        return table.players[CRITIC](z).float()

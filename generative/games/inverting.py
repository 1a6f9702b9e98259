"""Invertible conditional GANs (Perarnau et al. 2016, arXiv:1611.06355): two encoders of a
conditional GAN that is finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from generative.contracts import Data, LabelledBatches
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.mislabelled import Mislabelled
from generative.inference import Inference
from generative.inversion import CLASSES, CODES, InvertingSampler
from generative.measured import fit_measured
from generative.protocols.base import Protocol
from generative.samplers import ConditionalGeneratorSampler, load_weights


@dataclass(frozen=True)
class Inverting(Game):
    """Neither encoder hears of the other, and the generator stands still. Of codes: |E(G(z, y)) -
    z|^2 summed over the code, on new samples of codes of the prior and classes drawn evenly, so
    that it sees no real image. Of classes: |E(x) - y|^2 on real images and their classes, a unit
    each. Both have the layers of the critic and move with its optimiser.

    gan: the game of the conditional GAN, which can restore it. below: its finished model, None
    where this one is only restored. Deviations: encoders without batch norm, which start as PyTorch
    has it; classes are units and not 1 and -1; samples are new ones and not of a set made before.
    """

    gan: Mislabelled
    protocol: Protocol
    shape: tuple[int, ...]
    below: ConditionalGeneratorSampler | None = None

    @property
    def moves(self) -> tuple[Move, ...]:
        adam = self.protocol.critic_adam
        return Move(CODES, self._code_loss, adam), Move(CLASSES, self._class_loss, adam)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules, plain = self.protocol, Inference(spread=False)
        sizes = {CODES: rules.latent, CLASSES: data.classes}
        players = {
            name: plain.build(rules.critic, self.shape, size).to(data.device)
            for name, size in sizes.items()
        }
        if rng is not None:
            for player in players.values():
                fit_measured(player, data)
        return players

    def batches(self, data: Data) -> LabelledBatches:
        return data.labelled_batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _code_loss(self, table: Table) -> Iterator[Summand]:
        assert self.below is not None
        n, rng = self.protocol.batch, table.rng
        codes = self.protocol.codes(n, rng)
        labels = torch.randint(table.data.classes, (n,), generator=rng, device=rng.device)
        with table.passes():
            made = self.below.decode(codes, labels).float()
            found = table.players[CODES](made).float()
        yield Summand((found - codes).square().sum(1))

    def _class_loss(self, table: Table) -> Iterator[Summand]:
        images, labels = table.batches.next(self.protocol.batch)
        units = one_hot(labels, table.data.classes).to(images.dtype)
        with table.passes():
            found = table.players[CLASSES](images).float()
        yield Summand((found - units).square().sum(1))

    def fitted(self, players: Players, data: Data) -> InvertingSampler:
        assert self.below is not None
        return InvertingSampler(self.below, players[CODES], players[CLASSES])

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> InvertingSampler:
        players, rest = self.players(data, None), dict(tensors)
        for name, player in players.items():
            own = {key: rest.pop(key) for key in tensors if key.startswith(f"{name}.")}
            named = {key.removeprefix(f"{name}."): value for key, value in own.items()}
            load_weights(player, named, name)
        below: Any = self.gan.restored(data, rest)
        return InvertingSampler(below, players[CODES], players[CLASSES])

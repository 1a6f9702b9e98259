"""The first game of a model that draws coarse to fine: a GAN of images made small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from generative.coarsetofine import CoarseToFine, Level, brought, load_level
from generative.contracts import Batches, Data
from generative.games.adversarial import Adversarial
from generative.games.base import Players
from generative.games.turns import CRITIC, GENERATOR
from generative.games.wrapped import Wrapped


class Small:
    """Batches of images, each halved so many times."""

    def __init__(self, own: Batches, times: int) -> None:
        self._own, self._times = own, times

    def next(self, n: int) -> Tensor:
        return brought(self._own.next(n), self._times)

    def position(self) -> dict[str, Tensor]:
        return self._own.position()

    def seek(self, position: dict[str, Tensor]) -> None:
        self._own.seek(position)


@dataclass(frozen=True)
class Coarsest(Wrapped):
    """A GAN as it is, on images of the coarsest level; until there are finer ones its samples are
    brought up by repeating pixels.
    """

    own: Adversarial
    levels: tuple[Level, ...]

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self.own.players(data, rng)

    def batches(self, data: Data) -> Batches:
        return Small(data.batches(), len(self.levels) - 1)

    def fitted(self, players: Players, data: Data) -> CoarseToFine:
        return CoarseToFine(self.levels, [(players[GENERATOR], players[CRITIC])])

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> CoarseToFine:
        players = self.players(data, None)
        load_level(tensors, 0, players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)

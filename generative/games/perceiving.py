"""Likeness by what is in images and not by their pixels, beside the critics of both domains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from generative.contents import CONTENT, Beforehand, coloured, content_of, rebuilding
from generative.contracts import Data, Fitted
from generative.games.base import Move, Players, Summand, Table
from generative.games.cycle import BACKWARD, FORWARD, Cycle
from generative.games.translating import two_domains
from generative.games.wrapped import Extended
from generative.networks import Network


@dataclass(frozen=True)
class Perceiving(Extended):
    """First f alone learns to rebuild images of both domains, then it is fixed, and the generators
    minimise, beside what they do in their own game, `likeness_weight` times the mean over numbers
    of |f(x) - f(G(x))|, each for its domain: the row "feature loss + GAN" of Zhu et al. 2017.
    layers: of f, without batch norm, and of what rebuilds. Deviation: theirs sees by a layer of
    VGG-16, which has learnt the classes of photos.
    """

    own: Cycle
    layers: Network
    beforehand: Beforehand
    likeness_weight: float

    @property
    def protocol(self) -> Any:
        return self.own.protocol

    @property
    def moves(self) -> tuple[Move, ...]:
        generators, *critics = (replace(m, during=self.beforehand.used) for m in self.own.moves)
        objective = generators.objective

        def minimised(table: Table) -> Iterator[Summand]:
            yield from objective(table)
            yield from self._unlike(table)

        adam, learnt = self.protocol.critic_adam, self.beforehand.learnt
        content = Move(CONTENT, self._content_loss, adam, during=learnt)
        return content, replace(generators, objective=minimised), *critics

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        shapes = two_domains(data).first_shape, self.own.shape
        content = rebuilding(self.layers, shapes, self.beforehand.content_size)
        own = self.own.players(data, rng)
        return {**own, **self.protocol.begun({CONTENT: content}, data.device, rng)}

    def _content_loss(self, table: Table) -> Iterator[Summand]:
        for x in table.batches.next(self.protocol.batch):
            with table.passes():
                again = table.players[CONTENT](x)
            yield Summand((again.float() - coloured(x, again.shape[1])).square())

    def _unlike(self, table: Table) -> Iterator[Summand]:
        if not self.likeness_weight:
            return
        content = content_of(table.network(CONTENT))
        for at in (FORWARD, BACKWARD):
            with table.passes():
                seen, again = (
                    content.seen(part(table)[at]).float()
                    for part in (self.own.reals, self.own.fakes)
                )
            yield Summand((again - seen).abs(), self.likeness_weight)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Fitted:
        return self.own.restored(data, tensors)

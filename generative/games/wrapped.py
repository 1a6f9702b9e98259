"""A game that is played as another one, on other data, from another start or to another model."""

from __future__ import annotations

from typing import Any, final

import torch

from generative.contracts import Data
from generative.games.base import Game, Memory, Move


class Wrapped(Game):
    """Moves, protocol and memory are those of its own game; players, batches and the model are said
    by who wraps it.
    """

    own: Any
    """The game that is played: a `Game`, of the kind its wrapper needs."""

    @property
    @final
    def protocol(self) -> Any:
        return self.own.protocol

    @property
    @final
    def moves(self) -> tuple[Move, ...]:
        return self.own.moves

    @final
    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return self.own.memory(data, rng)

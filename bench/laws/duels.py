"""A game of two numbers, for laws: all that its players do is known in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.datasets import DATASETS
from generative.contracts import Data, Fitted
from generative.dynamics.base import Dynamics
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.protocols.base import Momentum
from generative.trainers.execution import PLAIN


class Number(nn.Module):
    """A player that is one number."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self) -> Tensor:
        return self.value


@dataclass(frozen=True)
class Duel(Game):
    """The first player minimises damping / 2 * x^2 + slope * x y, the second -slope * x y, by plain
    gradient descent at `rate`.
    """

    slope: float = 1.0
    damping: float = 0.0
    rate: float = 0.2
    start: tuple[float, float] = (1.0, 1.0)
    times: int = 1

    @property
    def field(self) -> np.ndarray:
        """The gradients of both, each by its own number: v = field @ (x, y)."""
        return np.array([[self.damping, self.slope], [-self.slope, 0.0]])

    @property
    def moves(self) -> tuple[Move, ...]:
        descent = Momentum(self.rate, 0.0, 0.0)
        return (
            Move("first", self._first, descent, times=self.times),
            Move("second", self._second, descent),
        )

    def _first(self, table: Table) -> list[Summand]:
        x, y = table.players["first"](), table.players["second"]()
        return [Summand(x * y, self.slope), Summand(x.square() / 2, self.damping)]

    def _second(self, table: Table) -> list[Summand]:
        x, y = table.players["first"](), table.players["second"]()
        return [Summand(x * y, -self.slope)]

    def players(self, data: Data | None, rng: torch.Generator | None) -> Players:
        return dict(zip(("first", "second"), map(Number, self.start), strict=True))

    def batches(self, data: Data) -> Any:
        raise NotImplementedError

    def memory(self, data: Data | None, rng: torch.Generator) -> Memory:
        return Memory("cpu")

    def fitted(self, players: Players, data: Data) -> Fitted:
        raise NotImplementedError

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Fitted:
        raise NotImplementedError


def played(game: Duel, dynamics: Dynamics, steps: int, moves: Sequence[Move] = ()) -> np.ndarray:
    """Where both were before each step and at last, [steps + 1, 2]. moves: others than its own."""
    rng = torch.Generator().manual_seed(0)
    players: Players = game.players(None, rng)
    optimisers = {
        move.player: torch.optim.SGD(players[move.player].parameters(), lr=game.rate)
        for move in game.moves
    }
    source: Any = DATASETS["ring8@pacgan"].part.source(0)
    batches = source.batches()
    table = Table(players, optimisers, game.memory(None, rng), source, batches, rng, PLAIN)
    at = [_places(players)]
    for _ in range(steps):
        dynamics.play(table, moves or game.moves)
        at.append(_places(players))
    return np.array(at)


def _places(players: Players) -> list[float]:
    return [next(player.parameters()).item() for player in players.values()]

"""Historical averaging (Salimans et al. 2016, section 3.3): players stay near their past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generative.contracts import RECIPES
from generative.dynamics.base import DYNAMICS, Dynamics, Field, step
from generative.games.base import Move, Table
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT

COUNT = "history.count"


@dataclass(frozen=True)
class Historical(Dynamics):
    """Alternating steps; each player also minimises history_weight * |theta - mean of theta so
    far|^2. The paper gives no weight: 0.1 brings its game of two numbers to rest, and 0.001 for
    points is of our pilot (docs/pilot.md).
    """

    history_weight: Annotated[float, WEIGHT] = 0.1

    def play(self, table: Table, moves: Sequence[Move]) -> Tensor:
        table.keeps = not all(move.fresh for move in moves)
        memory, total = table.memory, torch.zeros((), device=table.device)
        count = memory.setdefault(COUNT, torch.zeros((), device=table.device))
        memory[COUNT] = count + 1
        for move in moves:
            weights, loss = table.weights(move.player), total
            past = [
                memory.setdefault(f"history.{move.player}.{at}", torch.zeros_like(weight))
                for at, weight in enumerate(weights)
            ]
            with torch.no_grad():
                for mean, weight in zip(past, weights, strict=True):
                    mean.lerp_(weight, 1 / memory[COUNT])
            for turn in range(move.times):
                table.turn(move, fresh=move.fresh or turn > 0)
                loss = table.loss(move)
                gradients = [
                    gradient + 2 * self.history_weight * (weight.detach() - mean)
                    for gradient, weight, mean in zip(
                        torch.autograd.grad(loss, weights), weights, past, strict=True
                    )
                ]
                step(table, move, weights, gradients)
            total = total + loss.detach()
        return total

    def refuse(self, moves: Sequence[Move]) -> None:
        """Every game can be played so."""

    def linear(self, field: Field, rate: float) -> Field | None:
        """None: what it does depends on all that was before."""

    @property
    def cost(self) -> float:
        return 1.1


DYNAMICS.register(
    "historical",
    paper="arXiv:1606.03498",
    summary="Alternating, near the mean of the past",
)(Historical())

RECIPES.register(
    "historical-gan",
    paper="arXiv:1606.03498",
    summary="Non-saturating GAN with historical averaging (Salimans et al. 2016)",
    parts=("nonsaturating", "historical"),
)(Adversarial("nonsaturating", dynamics="historical", on_points={"history_weight": 0.001}))

"""What makes updates of moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bench.core.registry import Registry
from generative.games.base import Move, Table

Field = Float[np.ndarray, "2 2"]


class Dynamics(ABC):
    """How the moves of a step become updates of the players' weights."""

    @abstractmethod
    def play(self, table: Table, moves: Sequence[Move]) -> Tensor:
        """One step of every player. Returns the sum of what they minimised last, detached."""

    @abstractmethod
    def refuse(self, moves: Sequence[Move]) -> None:
        """Raise UsageError where moves can't be made so."""

    @abstractmethod
    def linear(self, field: Field, rate: float) -> Field | None:
        """What a step does to two numbers (z1, z2) in closed form, [2, 2]: z to the product. field:
        of a game whose gradients are linear, each by its player's own number, v = field @ z, where
        v2 has no part in z2; steps are of plain gradient descent at `rate`, the first player's
        before the second's where they take turns. None where it is no constant matrix.
        """

    @property
    @abstractmethod
    def cost(self) -> float:
        """What a step takes over an alternating one, about; only a forecast."""


@dataclass(frozen=True)
class DynamicsFacts:
    """together: everybody moves once a step, and nobody more often."""

    together: bool = False


DYNAMICS: Registry[Dynamics, DynamicsFacts] = Registry(
    "dynamics", DynamicsFacts, listed_as="dynamics"
)


def descend(table: Table, move: Move, loss: Tensor) -> None:
    """Step a player down the slope of a loss, by its own weights alone, and do what follows."""
    weights = table.weights(move.player)
    step(table, move, weights, torch.autograd.grad(loss, weights))


def step(
    table: Table,
    move: Move,
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    *,
    aside: bool = False,
) -> None:
    """One step of a player's optimiser along gradients of its weights, and what follows it; nothing
    follows a step aside.
    """
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = _as_laid_out(gradient, weight)
    if not aside:
        table.note(f"{move.player}_gradient", lambda: _norm(gradients, table.beside))
    table.optimisers[move.player].step()
    if move.after is not None and not aside:
        move.after(table)


def _norm(gradients: Sequence[Tensor], beside: int) -> Tensor:
    """Over all weights; of trainings side by side one each."""
    if beside:
        return torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
    return torch.stack([gradient.norm() for gradient in gradients]).norm()


def _as_laid_out(gradient: Tensor, weight: Tensor) -> Tensor:
    """With the weight's strides: fused optimisers go through the memory of both side by side, and
    the gradient of a gradient, or of a compiled network, may lie in another order.
    """
    same = gradient.stride() == weight.stride()
    return gradient if same else torch.empty_like(weight).copy_(gradient)

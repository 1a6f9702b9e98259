"""Simultaneous gradient steps: everybody moves from where everybody stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generative.contracts import RECIPES
from generative.dynamics.base import DYNAMICS, Dynamics, Field, step
from generative.dynamics.together import losses_of_all, refuse_repeated
from generative.games.base import Move, Table
from generative.recipes.adversarial import Adversarial


@dataclass(frozen=True)
class Simultaneous(Dynamics):
    """All gradients at one point and on one batch, then all steps (Mescheder et al. 2017,
    Algorithm 1).
    """

    def play(self, table: Table, moves: Sequence[Move]) -> Tensor:
        losses = losses_of_all(table, moves)
        weights = [table.weights(move.player) for move in moves]
        gradients = [
            torch.autograd.grad(loss, own, retain_graph=True)
            for loss, own in zip(losses, weights, strict=True)
        ]
        for move, own, gradient in zip(moves, weights, gradients, strict=True):
            step(table, move, own, gradient)
        return torch.stack(losses).detach().sum()

    def refuse(self, moves: Sequence[Move]) -> None:
        refuse_repeated(moves, "simultaneous")

    def linear(self, field: Field, rate: float) -> Field | None:
        return np.eye(2) - rate * field

    @property
    def cost(self) -> float:
        return 1.0


DYNAMICS.register(
    "simultaneous",
    paper="arXiv:1705.10461",
    summary="Everybody steps from where everybody stood",
    together=True,
)(Simultaneous())

RECIPES.register(
    "simultaneous-gan",
    paper="arXiv:1705.10461",
    summary="Non-saturating GAN, both players step at once (Mescheder et al. 2017)",
    parts=("nonsaturating", "simultaneous"),
)(Adversarial("nonsaturating", dynamics="simultaneous"))

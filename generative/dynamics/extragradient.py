"""The extragradient method (Korpelevich 1976; for GANs Gidel et al. 2019)."""

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
class Extragradient(Dynamics):
    """Everybody makes a step, looks at the gradients there, goes back, and steps along those. Both
    gradients are of batches of their own; an optimiser's moments learn from both, as in
    Algorithm 4 of Gidel et al. 2019.
    """

    def play(self, table: Table, moves: Sequence[Move]) -> Tensor:
        weights = [table.weights(move.player) for move in moves]
        start = [[weight.detach().clone() for weight in own] for own in weights]
        self._step(table, moves, weights)
        losses = losses_of_all(table, moves)
        gradients = self._gradients(losses, weights)
        with torch.no_grad():
            for own, before in zip(weights, start, strict=True):
                for weight, old in zip(own, before, strict=True):
                    weight.copy_(old)
        for move, own, gradient in zip(moves, weights, gradients, strict=True):
            step(table, move, own, gradient)
        return torch.stack(losses).detach().sum()

    def _step(self, table: Table, moves: Sequence[Move], weights: Sequence[list[Tensor]]) -> None:
        gradients = self._gradients(losses_of_all(table, moves), weights)
        for move, own, gradient in zip(moves, weights, gradients, strict=True):
            step(table, move, own, gradient, aside=True)

    def _gradients(
        self, losses: Sequence[Tensor], weights: Sequence[list[Tensor]]
    ) -> list[tuple[Tensor, ...]]:
        return [
            torch.autograd.grad(loss, own, retain_graph=True)
            for loss, own in zip(losses, weights, strict=True)
        ]

    def refuse(self, moves: Sequence[Move]) -> None:
        refuse_repeated(moves, "extragradient")

    def linear(self, field: Field, rate: float) -> Field | None:
        return np.eye(2) - rate * field @ (np.eye(2) - rate * field)

    @property
    def cost(self) -> float:
        return 2.0


DYNAMICS.register(
    "extragradient",
    paper="arXiv:1802.10551",
    summary="A step aside, back, and along the slope there",
    together=True,
)(Extragradient())

RECIPES.register(
    "extragradient-gan",
    paper="arXiv:1802.10551",
    summary="Non-saturating GAN with extragradient steps (Gidel et al. 2019)",
    parts=("nonsaturating", "extragradient"),
    exempt=(
        "the-critic-makes-its-steps: each has one aside",
        "a-weight-that-is-not-finite-diverges: the loss is asked for where the step aside ends",
    ),
)(Adversarial("nonsaturating", dynamics="extragradient"))

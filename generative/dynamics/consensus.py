"""Consensus optimisation (Mescheder et al. 2017): players also make their gradients small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from generative.contracts import RECIPES
from generative.dynamics.base import DYNAMICS, Dynamics, Field, step
from generative.dynamics.together import losses_of_all, refuse_repeated
from generative.games.base import Move, Table
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT


@dataclass(frozen=True)
class Consensus(Dynamics):
    """Simultaneous steps along v + consensus_weight * grad |v|^2 / 2, where v holds the gradients
    of all players, each by its own weights (their Algorithm 2; the weight is 10 in their
    code for a ring of points).
    """

    consensus_weight: Annotated[float, WEIGHT] = 10.0

    def play(self, table: Table, moves: Sequence[Move]) -> Tensor:
        losses = losses_of_all(table, moves, attached=True)
        weights = [table.weights(move.player) for move in moves]
        field = [
            torch.autograd.grad(loss, own, create_graph=True)
            for loss, own in zip(losses, weights, strict=True)
        ]
        length = torch.stack([part.square().sum() for own in field for part in own]).sum() / 2
        every = [weight for own in weights for weight in own]
        pull = iter(torch.autograd.grad(length, every, allow_unused=True, materialize_grads=True))
        for move, own, gradient in zip(moves, weights, field, strict=True):
            own_pull = [next(pull) for _ in own]
            total = [
                part.detach() + self.consensus_weight * extra
                for part, extra in zip(gradient, own_pull, strict=True)
            ]
            step(table, move, own, total)
        return torch.stack(losses).detach().sum()

    def refuse(self, moves: Sequence[Move]) -> None:
        refuse_repeated(moves, "consensus")

    def linear(self, field: Field, rate: float) -> Field | None:
        return np.eye(2) - rate * (field + self.consensus_weight * field.T @ field)

    @property
    def cost(self) -> float:
        return 2.5


DYNAMICS.register(
    "consensus",
    paper="arXiv:1705.10461",
    summary="Players also make all gradients small",
    together=True,
)(Consensus())

RECIPES.register(
    "consensus-gan",
    paper="arXiv:1705.10461",
    summary="Non-saturating GAN with consensus optimisation (Mescheder et al. 2017)",
    parts=("nonsaturating", "consensus"),
)(Adversarial("nonsaturating", dynamics="consensus"))

"""Alternating steps, as in Algorithm 1 of Goodfellow et al. 2014."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generative.dynamics.base import DYNAMICS, Dynamics, Field, descend
from generative.games.base import Move, Table


def take_turns(table: Table, move: Move) -> Tensor:
    """All steps of a player before the next one's. Returns what it minimised last, detached."""
    loss = torch.zeros((), device=table.device)
    for turn in range(move.times):
        table.turn(move, fresh=move.fresh or turn > 0)
        loss = table.loss(move)
        descend(table, move, loss)
    return loss.detach()


@dataclass(frozen=True)
class Alternating(Dynamics):
    """One player after another, each against the others as they are by then."""

    def play(self, table: Table, moves: Sequence[Move]) -> Tensor:
        table.keeps, table.attached = not all(move.fresh for move in moves), False
        total = torch.zeros((), device=table.device)
        for move in moves:
            total = total + take_turns(table, move)
        return total

    def refuse(self, moves: Sequence[Move]) -> None:
        """Every game can be played so."""

    def linear(self, field: Field, rate: float) -> Field | None:
        first = np.eye(2) - rate * np.array([field[0], [0.0, 0.0]])
        second = np.eye(2) - rate * np.array([[0.0, 0.0], field[1]])
        return second @ first

    @property
    def cost(self) -> float:
        return 1.0


ALTERNATING = Alternating()
DYNAMICS.register(
    "alternating",
    paper="arXiv:1406.2661",
    summary="One player after another, as in Algorithm 1",
)(ALTERNATING)

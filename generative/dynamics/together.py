"""What dynamics share in which everybody moves at once: the losses of all at one point."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bench.core.errors import UsageError
from generative.games.base import Move, Table


def losses_of_all(table: Table, moves: Sequence[Move], *, attached: bool = False) -> list[Tensor]:
    """What each minimises, on one batch and the same fakes. attached: with the graph to the weights
    of the other players, too.
    """
    table.keeps, table.attached = True, attached
    table.turn(moves[0])
    losses = [table.loss(move) for move in moves]
    table.attached = False
    return losses


def refuse_repeated(moves: Sequence[Move], name: str) -> None:
    """Raise UsageError where a player is to move more often than the others."""
    for move in moves:
        if move.times > 1:
            raise UsageError(
                f"dynamics '{name}' moves all players at once, and the {move.player} is to make "
                f"{move.times} steps for one of the others: set critic_steps to 1"
            )

"""Unrolled optimisation (Metz et al. 2017): the generator looks at where the critic is going."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.contracts import RECIPES
from generative.dynamics.alternating import ALTERNATING, take_turns
from generative.dynamics.base import DYNAMICS, Dynamics, Field, descend
from generative.dynamics.virtual import virtual
from generative.games.base import Move, Table
from generative.recipes.adversarial import Adversarial
from generative.training import Bounds


@dataclass(frozen=True)
class Unrolled(Dynamics):
    """The first player moves as ever. The second descends its loss against the first one as it will
    be `ahead` steps of its optimiser later, on the batch and the fakes of this turn, with the
    gradient through those steps (equations 6 to 12): the second term of equation 12 is the method.
    A constraint, such as clipping, is not applied on the way there.
    With 0 steps it is alternating.
    """

    ahead: Annotated[int, Bounds(0, 1_000)] = 5

    def play(self, table: Table, moves: Sequence[Move]) -> Tensor:
        if not self.ahead:
            return ALTERNATING.play(table, moves)
        first, second = moves
        table.keeps = not second.fresh
        before = take_turns(table, first)
        table.turn(second, fresh=second.fresh)
        loss = self.looked_ahead(table, first, second)
        descend(table, second, loss)
        return before + loss.detach()

    def looked_ahead(self, table: Table, first: Move, second: Move) -> Tensor:
        """What the second minimises against the first some steps on, a scalar with its graph."""
        table.attached = True
        at = virtual(table.network(first.player), table.optimisers[first.player])
        for _ in range(self.ahead):
            with table.playing(**{first.player: at}):
                loss = table.loss(first)
            (gradient,) = torch.autograd.grad(loss, at.weights, create_graph=True)
            at = at.stepped(gradient)
        with table.playing(**{first.player: at}):
            loss = table.loss(second)
        table.attached = False
        return loss

    def refuse(self, moves: Sequence[Move]) -> None:
        if len(moves) != 2:
            raise UsageError(
                f"dynamics 'unrolled' is for two players that take turns, and here {len(moves)} do"
            )

    def linear(self, field: Field, rate: float) -> Field | None:
        (damping, to_first), (to_second, _) = field
        kept = 1 - rate * damping
        late = rate * sum(kept**step for step in range(self.ahead))
        first = np.eye(2) - rate * np.array([field[0], [0.0, 0.0]])
        ahead = [to_second * kept**self.ahead, -2 * to_first * to_second * late]
        return (np.eye(2) - rate * np.array([[0.0, 0.0], ahead])) @ first

    @property
    def cost(self) -> float:
        return 1.0 + 1.25 * self.ahead


DYNAMICS.register(
    "unrolled",
    paper="arXiv:1611.02163",
    summary="The generator looks ahead at the critic's next steps",
)(Unrolled())

for _ahead in (1, 5, 10):
    RECIPES.register(
        f"unrolled{_ahead}",
        paper="arXiv:1611.02163",
        summary=f"Minimax GAN whose generator sees {_ahead} critic steps ahead (Metz et al. 2017)",
        parts=("minimax", "unrolled"),
    )(Adversarial("minimax", dynamics="unrolled", own_settings={"ahead": _ahead}))

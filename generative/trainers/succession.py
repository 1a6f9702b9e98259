"""Games that one model takes, one after another, before they are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from generative.contracts import Fitted, Trainer
from generative.dynamics.alternating import ALTERNATING
from generative.dynamics.base import Dynamics
from generative.games.base import Game, Move
from generative.trainers.chain import Chain
from generative.trainers.execution import Execution
from generative.trainers.game import GameTrainer

Stage = Callable[[Sequence[Fitted]], Game]
"""The finished models of the stages before, in order, to the game of this one."""


@dataclass(frozen=True)
class Succession:
    """stages: the games, in order. lengths: the steps of each. last: the last one's game as it is
    restored, which needs none of the models before.
    """

    stages: tuple[Stage, ...]
    lengths: tuple[int, ...]
    last: Game

    @property
    def moves(self) -> tuple[Move, ...]:
        """Of the last game."""
        return self.last.moves

    def trainer(self, dynamics: Dynamics, execution: Execution) -> Chain:
        """Every game is played by the same dynamics, but for those of one player alone."""

        def link(stage: Stage, done: Sequence[Fitted]) -> Trainer:
            game = stage(done)
            own = dynamics if len(game.moves) > 1 else ALTERNATING
            return GameTrainer(game, own, execution)

        links = tuple(partial(link, stage) for stage in self.stages)
        return Chain(links, self.lengths, self.last.restored)

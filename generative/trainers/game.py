"""The one engine that plays every game: step by step, packed and taken up on the way."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from generative.contracts import Data, Fitted, Traced, Trainer, Tree
from generative.dynamics.alternating import ALTERNATING
from generative.dynamics.base import Dynamics
from generative.games.base import Game, Move, Players, Table
from generative.trainers.execution import PLAIN, Execution
from generative.trainers.optimisers import optimiser, schedule
from generative.trainers.progress import Part, pack, refuse_broken, taken_up

TOLD = 1_000
"""The most steps that are told about."""


@dataclass
class Played:
    """Everything that moves during a training. averages: moving averages of players, for those that
    have one. told: of steps, what nobody has asked for yet. value: what was minimised last.
    """

    players: Players
    averages: Players
    table: Table
    step: int = 0
    told: list[Traced] = field(default_factory=list)
    value: Tensor = field(default_factory=partial(torch.zeros, ()))

    @property
    def parts(self) -> dict[str, Part]:
        optimisers = self.table.optimisers
        return {
            **self.players,
            **{f"{name}_average": network for name, network in self.averages.items()},
            **{f"{name}_optimiser": one for name, one in optimisers.items()},
            "batches": self.table.batches,
            "noise": self.table.rng,
            "memory": self.table.memory,
        }


@dataclass(frozen=True)
class GameTrainer(Trainer):
    """dynamics: how moves become updates. execution: how a pass is computed."""

    game: Game
    dynamics: Dynamics = ALTERNATING
    execution: Execution = PLAIN

    @property
    def steps(self) -> int:
        return self.game.protocol.steps

    @cached_property
    def _moves(self) -> tuple[Move, ...]:
        return self.game.moves

    @property
    def _every(self) -> int:
        """Steps from one that is told about to the next."""
        return -(-self.steps // TOLD)

    def start(self, data: Data, rng: torch.Generator) -> Played:
        batches, players = self.game.batches(data), self.game.players(data, rng)
        moves = {move.player: move for move in self._moves}
        averages = {
            name: copy.deepcopy(players[name]) for name, move in moves.items() if move.average
        }
        for network in players.values():
            self.execution.prepared(network)
        optimisers = {name: optimiser(players[name], m.optimiser) for name, m in moves.items()}
        memory = self.game.memory(data, rng)
        table = Table(players, optimisers, memory, data, batches, rng, self.execution)
        return Played(players, averages, table)

    def advance(self, state: Played, steps: int) -> Played:
        state = self.played(state, steps)
        refuse_broken(state.players, state.value, state.step)
        return state

    def played(self, state: Played, steps: int) -> Played:
        """After so many steps, whatever became of it."""
        table = state.table
        for _ in range(steps):
            table.progress = state.step / self.steps
            moves = [move for move in self._moves if _made(move, table.progress)]
            for move in moves:
                one = table.optimisers[move.player]
                schedule(one, move.optimiser, state.step, table.progress, move.decay)
            table.traced = None if (state.step + 1) % self._every else {}
            state.value = self.dynamics.play(table, moves)
            state.step += 1
            if table.traced is not None:
                state.told.append((state.step, table.traced))
            for move in moves:
                if move.average:
                    pace = max(1 - move.average, 1 / state.step)
                    _follow(state.averages[move.player], state.players[move.player], pace)
        return state

    def finish(self, state: Played) -> Fitted:
        players = {
            name: copy.deepcopy(state.averages.get(name, network))
            for name, network in state.players.items()
        }
        return self.game.fitted(players, state.table.data)

    def pulls(self, state: Played) -> dict[str, float]:
        """By player, the norm of what its last step followed, over all its weights."""
        return {name: _pull(state.players[name]) for name in state.table.optimisers}

    def told(self, state: Played) -> list[Traced]:
        told, state.told = state.told, []
        return told

    def pack(self, state: Played) -> Tree:
        return pack(state)

    def unpack(self, data: Data, tree: Tree) -> Played:
        return taken_up(self.start(data, torch.Generator(device=data.device)), tree)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Fitted:
        return self.game.restored(data, tensors)


def _made(move: Move, progress: float) -> bool:
    begins, ends = move.during
    return begins <= progress and (progress < ends or ends == 1)


def _pull(network: nn.Module) -> float:
    found = [w.grad.float().square().sum() for w in network.parameters() if w.grad is not None]
    return float(torch.stack(found).sum().sqrt()) if found else 0.0


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, pace: float) -> None:
    """Move an average towards a network."""
    kept, new = average.state_dict(), network.state_dict()
    for name, value in kept.items():
        if value.is_floating_point():
            value.lerp_(new[name], pace)

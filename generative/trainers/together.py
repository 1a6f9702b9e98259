"""Trainings of one game with several seeds, side by side: each step of all of them in one pass.

Every training draws what it would draw alone, from its own streams; sums are taken in another
order, so that numbers differ in their last bits, and with them, in the long run, the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from generative.contracts import Diverged, Loss, Trainer
from generative.dynamics.alternating import Alternating
from generative.games.adversarial import Adversarial
from generative.games.base import Memory, Table
from generative.parts import Moving, Sighted
from generative.protocols.base import Adam
from generative.streams import Streams, in_turn
from generative.trainers.execution import PLAIN
from generative.trainers.game import GameTrainer, Played
from generative.trainers.optimisers import optimiser
from generative.trainers.progress import refuse_broken
from generative.trainers.stacked import Stacked, can_be_stacked

LARGEST = 40_000_000
"""Examples of a batch times weights, up to which several are faster side by side on one core: at 9
million 1.6 times (protocol plane), at 34 million 1.1 times (unrolled-notebook), at 89 million .87
times (pacgan), five seeds each.
"""


def apart(trainer: Trainer) -> str:
    """Why its trainings can't go side by side, or empty: they can where a plain game of dense
    networks is played by turns, with a loss that is a mean over examples.
    """
    if not isinstance(trainer, GameTrainer) or not isinstance(trainer.game, Adversarial):
        return "it is no plain game of a generator and a critic"
    game = trainer.game
    more = (game.constraint, game.view, game.critic_form, game.generator_form, game.conditioning)
    if any(part is not None for part in more) or game.penalties or game.terms or game.compares:
        return "its game has more than a loss"
    if not isinstance(trainer.dynamics, Alternating) or trainer.execution != PLAIN:
        return "it is not played plainly by turns"
    if len(game.shape) != 1:
        return "its examples are no points"
    if game.relativistic or isinstance(game.loss, (Moving, Sighted)) or not _by_example(game.loss):
        return "its loss compares examples"
    rules = game.protocol
    if not isinstance(rules.generator_adam, Adam) or not isinstance(rules.critic_adam, Adam):
        return "its optimiser is not Adam"
    with torch.device("meta"):
        networks = game.built(0)
    if not all(map(can_be_stacked, networks)):
        return "its networks are not made of dense layers alone"
    if rules.batch * sum(w.numel() for each in networks for w in each.parameters()) > LARGEST:
        return "it is so large that its seeds are faster one by one"
    return ""


def _by_example(loss: Loss) -> bool:
    """Whether the loss of some examples is made of those of each."""
    a, b = torch.linspace(-2, 3, 6), torch.linspace(1, -2, 6)
    for of in (loss.critic, loss.generator):
        whole, parts = of(a, b), [of(a[i : i + 1], b[i : i + 1]) for i in range(len(a))]
        if whole.shape != a.shape or not torch.allclose(whole, torch.cat(parts), atol=1e-6):
            return False
    return True


@dataclass(frozen=True, eq=False)
class _Batches:
    """The next batch of each, their rows in turn."""

    each: Sequence[Any]

    def next(self, n: int) -> Tensor:
        return in_turn([batches.next(n) for batches in self.each])

    def position(self) -> dict[str, Tensor]:
        return {
            f"{at} {name}": value
            for at, batches in enumerate(self.each)
            for name, value in batches.position().items()
        }

    def seek(self, position: dict[str, Tensor]) -> None:
        for at, batches in enumerate(self.each):
            own = {k.partition(" ")[2]: v for k, v in position.items() if k.startswith(f"{at} ")}
            batches.seek(own)


def advance(trainer: GameTrainer, states: Sequence[Played], steps: int) -> list[Diverged | None]:
    """Make the same steps of all of them; states are of one step. Of each what went wrong."""
    joint = _joined(trainer, states)
    joint = trainer.played(joint, steps)
    _put_back(joint, states)
    return [_fate(state, joint.table.minimised, at) for at, state in enumerate(states)]


def _joined(trainer: GameTrainer, states: Sequence[Played]) -> Played:
    first = states[0]
    players: dict[str, nn.Module] = {
        name: Stacked([state.players[name] for state in states]) for name in first.players
    }
    averages: dict[str, nn.Module] = {
        name: Stacked([state.averages[name] for state in states]) for name in first.averages
    }
    moves = {move.player: move for move in trainer.game.moves}
    optimisers = {name: optimiser(players[name], move.optimiser) for name, move in moves.items()}
    for name, one in optimisers.items():
        _join_slots(one, [state.table.optimisers[name] for state in states])
    tables = [state.table for state in states]
    rng: Any = Streams([table.rng for table in tables])
    batches: Any = _Batches([table.batches for table in tables])
    memory = Memory(first.table.data.device)
    data = first.table.data
    table = Table(players, optimisers, memory, data, batches, rng, PLAIN, len(states))
    return Played(players, averages, table, first.step)


def _join_slots(joint: torch.optim.Optimizer, each: Sequence[torch.optim.Optimizer]) -> None:
    """What Adam remembers of every weight, in stacks; all have made as many steps."""
    (group,) = joint.param_groups
    for stack, *weights in zip(group["params"], *map(_weights, each), strict=True):
        slots = [one.state[weight] for one, weight in zip(each, weights, strict=True)]
        if slots[0]:
            moments = {k: torch.stack([s[k] for s in slots]) for k in ("exp_avg", "exp_avg_sq")}
            joint.state[stack] = {"step": slots[0]["step"].clone(), **moments}


def _weights(one: torch.optim.Optimizer) -> list[Tensor]:
    (group,) = one.param_groups
    return group["params"]


def _put_back(joint: Played, states: Sequence[Played]) -> None:
    for kind in ("players", "averages"):
        for name, stacked in getattr(joint, kind).items():
            stacked.put_back([getattr(state, kind)[name] for state in states])
    for name, one in joint.table.optimisers.items():
        for at, state in enumerate(states):
            own = state.table.optimisers[name]
            for stack, weight in zip(_weights(one), _weights(own), strict=True):
                slot = one.state[stack]
                moments = {k: slot[k][at].clone() for k in ("exp_avg", "exp_avg_sq")}
                own.state[weight] = {"step": slot["step"].clone(), **moments}
    for at, state in enumerate(states):
        state.step = joint.step
        state.table.progress = joint.table.progress
        for step, noted in joint.told:
            each: Any = noted  # of every training one
            state.told.append((step, {name: float(told[at]) for name, told in each.items()}))


def _fate(state: Played, minimised: dict[str, Tensor], at: int) -> Diverged | None:
    total = sum((loss[at] for loss in minimised.values()), torch.zeros(()))
    try:
        refuse_broken(state.players, total, state.step)
    except Diverged as error:
        return error
    return None

"""What a game is: players, the moves that they make in turn, and what a move sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from generative.contracts import Batches, Data, Fitted, LabelledBatches
from generative.protocols.base import Optimiser
from generative.streams import Streams, by_training
from generative.trainers.execution import Execution
from generative.trainers.progress import packed, put_back

Players = dict[str, nn.Module]
"""By role. A module without a pass of its own holds several that move together."""


class Summand(NamedTuple):
    """A part of what a move minimises: `weight` times the mean of an unreduced value."""

    value: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Move:
    """One player's turn.

    player: whose weights move. objective: what they minimise, a sum of means. times: how often
    before the next move, each on new draws. fresh: whether it draws anew, or sees what the move
    before it left. decay: the share of the training, at its end, over which the rate falls to 0.
    average: the decay of a moving average of the player's weights that stands for it in the model
    (Yazici et al. 2019, arXiv:1806.04498), begun afresh until 1 / (1 - average) steps have been
    made; 0 is the player itself. during: it is made from the first of these shares of the training
    on, and no longer from the second. after: what is done to the table once the weights have moved.
    """

    player: str
    objective: Callable[[Table], Iterable[Summand]]
    optimiser: Optimiser
    times: int = 1
    fresh: bool = True
    decay: float = 0.0
    average: float = 0.0
    during: tuple[float, float] = (0.0, 1.0)
    after: Callable[[Table], None] | None = None


class Memory(dict[str, Any]):
    """What training moves beside weights, by name: tensors, and things that know their position.

    What a training only begins to keep on the way is put back, too, on its device.
    """

    def __init__(self, device: str | torch.device, **kept: Any) -> None:
        super().__init__(kept)
        self._device = device

    def position(self) -> dict[str, Any]:
        return {
            name: kept.detach().clone() if isinstance(kept, Tensor) else packed(kept)
            for name, kept in self.items()
        }

    def seek(self, position: Mapping[str, Any]) -> None:
        for name, kept in position.items():
            if name in self and not isinstance(self[name], Tensor):
                put_back(self[name], kept)
            else:
                self[name] = kept.clone().to(self._device)


class Table:
    """What a move sees: players, memory, data, noise, progress, and what was left on it.

    mover: whose turn it is. attached: whether what a move minimises is to be differentiated by
    the weights of other players, too; keeps: whether what it leaves is. traced: what is noted
    of a step, where somebody asks. beside: how many trainings are played at it side by side, to
    which the rows of whatever is drawn and judged belong in turn; 0 for one alone. minimised:
    then, by player, what each of them minimised last.
    """

    def __init__(
        self,
        players: Players,
        optimisers: Mapping[str, torch.optim.Optimizer],
        memory: Memory,
        data: Data,
        batches: Batches | LabelledBatches,
        rng: torch.Generator | Streams,
        execution: Execution,
        beside: int = 0,
    ) -> None:
        self.players: dict[str, Callable[..., Any]] = dict(players)
        self.optimisers, self.memory, self._networks = optimisers, memory, players
        self.data, self.batches = data, batches
        self.rng: Any = rng
        self.progress, self.mover = 0.0, ""
        self.traced: dict[str, Any] | None = None
        self.attached = self.keeps = False
        self._execution, self._left = execution, dict[str, Any]()
        self.beside, self.minimised = beside, dict[str, Tensor]()

    @property
    def device(self) -> torch.device:
        """Where it is played."""
        return self.rng.device

    def turn(self, move: Move, *, fresh: bool = True) -> None:
        """Let a move begin; a fresh one finds nothing left by others."""
        self.mover = move.player
        if fresh:
            self._left = {}

    def once(self, name: str, draw: Callable[[], Any]) -> Any:
        """What lies there under a name, drawn where nothing does."""
        if name not in self._left:
            self._left[name] = draw()
        return self._left[name]

    def leave(self, name: str, value: Any) -> None:
        """Let something lie there under a name."""
        self._left[name] = value

    def note(self, name: str, value: Callable[[], Tensor]) -> None:
        """Note the mean of something about this step, where somebody asks; the last one stands. Of
        trainings side by side one each.
        """
        if self.traced is None:
            return
        with torch.no_grad():
            found = value().float()
            beside = self.beside
            self.traced[name] = by_training(found, beside) if beside else float(found.mean())

    def passes(self) -> AbstractContextManager:
        """The context of a player's pass: its precision."""
        return self._execution.passes(self.rng.device.type)

    def loss(self, move: Move) -> Tensor:
        """What the move minimises, as the table stands: a scalar with its graph. Of trainings side
        by side the sum of what each does, of which none moves another's weights.
        """
        total: Tensor | None = None
        for value, weight in move.objective(self):
            mean = by_training(value, self.beside) if self.beside else value.mean()
            part = mean if weight == 1 else weight * mean
            total = part if total is None else total + part
        if total is None:
            raise ValueError(f"the move of '{move.player}' minimises nothing")
        known = total.detach()
        self.note(f"{move.player}_loss", lambda: known)
        if not self.beside:
            return total
        self.minimised[move.player] = known
        return total.sum()

    def network(self, player: str) -> nn.Module:
        """A player itself, whoever plays in its place."""
        return self._networks[player]

    def weights(self, player: str) -> list[Tensor]:
        """The weights of a player."""
        return list(self._networks[player].parameters())

    @contextmanager
    def playing(self, **stand_ins: Callable[..., Tensor]):
        """Others in the place of players."""
        own = self.players
        self.players = {**own, **stand_ins}
        try:
            yield
        finally:
            self.players = own


class Game(ABC):
    """What is played under one protocol with examples of one shape: a frozen record."""

    protocol: Any

    @property
    @abstractmethod
    def moves(self) -> tuple[Move, ...]:
        """In the order of a step."""

    @abstractmethod
    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        """The networks on the data's device, their weights drawn as the protocol says; without a
        generator they are only built, to be loaded.
        """

    @abstractmethod
    def batches(self, data: Data) -> Batches | LabelledBatches:
        """The stream that a table draws from. Raises UsageError for data it can't be played on."""

    @abstractmethod
    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        """What training moves beside weights, as it begins."""

    @abstractmethod
    def fitted(self, players: Players, data: Data) -> Fitted:
        """The model of players as they are now; what is estimated once weights stand is estimated
        here.
        """

    @abstractmethod
    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Fitted:
        """The model that `Fitted.tensors` described. Raises UsageError for another architecture."""

"""Games one after another, where a later one needs what an earlier one came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.core.randomness import stream
from generative.contracts import Data, Fitted, Pulled, Telling, Traced, Trainer, Tree

Link = Callable[[Sequence[Fitted]], Trainer]
"""The finished models of the links before, in order, to the trainer of this one."""


@dataclass
class Linked:
    """How far a chain is: the finished models, and the state of the link in training. told: of
    finished links, what nobody has asked for yet.
    """

    data: Data
    seed: int
    trainer: Trainer
    state: Any
    made: int = 0
    done: list[Fitted] = field(default_factory=list)
    told: list[Traced] = field(default_factory=list)


@dataclass(frozen=True)
class Chain(Trainer):
    """Each link is trained in full before the next one is made; the model is that of the link in
    training, the last one's in the end. lengths: the steps of each link. whole: the last link's
    model of its tensors, which hold what it needs of those before. The draws of a link are a stream
    of their own, so that a link does not depend on how those before drew.
    """

    links: tuple[Link, ...]
    lengths: tuple[int, ...]
    whole: Callable[[Data, Mapping[str, Tensor]], Fitted]

    @property
    def steps(self) -> int:
        return sum(self.lengths)

    def start(self, data: Data, rng: torch.Generator) -> Linked:
        seed, trainer = rng.initial_seed(), self._made([])
        return Linked(data, seed, trainer, self._start(trainer, data, seed, 0))

    def _made(self, done: Sequence[Fitted]) -> Trainer:
        """The trainer of the next link. Raises ValueError where it is not as long as declared."""
        at, trainer = len(done), self.links[len(done)](done)
        if trainer.steps != self.lengths[at]:
            raise ValueError(
                f"link {at} of a chain: expected {self.lengths[at]} steps as declared, its trainer "
                f"makes {trainer.steps}"
            )
        return trainer

    def _start(self, trainer: Trainer, data: Data, seed: int, at: int) -> Any:
        return trainer.start(data, stream("chain", seed, at, device=data.device))

    def advance(self, state: Linked, steps: int) -> Linked:
        while steps > 0:
            length = self.lengths[len(state.done)]
            now = min(steps, length - state.made)
            state.state = state.trainer.advance(state.state, now)
            state.made, steps = state.made + now, steps - now
            if state.made < length or len(state.done) + 1 == len(self.links):
                break
            state.told += self._told_by(state)
            state.done.append(state.trainer.finish(state.state))
            state.trainer, state.made = self._made(state.done), 0
            state.state = self._start(state.trainer, state.data, state.seed, len(state.done))
        return state

    def finish(self, state: Linked) -> Fitted:
        return state.trainer.finish(state.state)

    def pulls(self, state: Linked) -> dict[str, float]:
        """Of the link in training."""
        trainer = state.trainer
        return trainer.pulls(state.state) if isinstance(trainer, Pulled) else {}

    def told(self, state: Linked) -> list[Traced]:
        told, state.told = [*state.told, *self._told_by(state)], []
        return told

    def _told_by(self, state: Linked) -> list[Traced]:
        """By the link in training, its steps counted from the chain's start."""
        trainer, before = state.trainer, sum(self.lengths[: len(state.done)])
        own = trainer.told(state.state) if isinstance(trainer, Telling) else []
        return [(before + step, noted) for step, noted in own]

    def pack(self, state: Linked) -> Tree:
        done = [model.tensors() for model in state.done]
        packed = state.trainer.pack(state.state)
        return {"seed": state.seed, "made": state.made, "done": done, "state": packed}

    def unpack(self, data: Data, tree: Tree) -> Linked:
        done = self._restored(data, tree["done"])
        trainer = self._made(done)
        state = trainer.unpack(data, tree["state"])
        return Linked(data, int(tree["seed"]), trainer, state, int(tree["made"]), done)

    def _restored(self, data: Data, tensors: Sequence[Mapping[str, Tensor]]) -> list[Fitted]:
        done: list[Fitted] = []
        for each in tensors:
            done.append(self._made(done).restore(data, each))
        return done

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Fitted:
        return self.whole(data, tensors)

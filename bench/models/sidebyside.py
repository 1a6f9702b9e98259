"""Trainings of several seeds side by side: looked at one by one, advanced together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream_seed
from bench.models.trainings import Going, Kept, Saved, Work, facts_of, going
from generative import RECIPES, Trainer, Training
from generative.recipes.ready import Ready
from generative.trainers import together
from generative.trainers.game import GameTrainer
from generative.trainers.together import advance

TREE, DIVERGED = "tree", "diverged"
"""Of a training that has ended, in a checkpoint."""


def apart(model: str, training: Training, shape: tuple[int, ...]) -> str:
    """Why the seeds of a model are trained one by one, or empty; it may not be trained at all."""
    if isinstance(RECIPES[model].part, Ready):
        return "it is not trained"
    try:
        return together.apart(RECIPES[model].part.trainer(training, shape))
    except UsageError as error:
        return str(error)


def side_by_side(trainer: Trainer, works: Sequence[Work], saved: Saved) -> list[Kept]:
    """What each training gave, in their order. Those that are at one step are advanced together;
    one that diverges leaves the others.
    """
    assert isinstance(trainer, GameTrainer)
    shared = _Shared(saved, {str(work.order.seed) for work in works})
    trainings: dict[int, Going] = {}
    asked: dict[int, tuple[Any, int]] = {}
    kept: dict[int, Kept] = {}

    def go_on(at: int, ask: Callable[[], tuple[Any, int]]) -> None:
        """Let a training go on until it asks for more, or ends."""
        try:
            asked[at] = ask()
        except StopIteration as end:
            kept[at] = end.value
            shared.leave(str(works[at].order.seed), kept[at])

    for at, work in enumerate(works):
        part = _Part(shared, str(work.order.seed))
        ended = part.load()
        if ended is not None and DIVERGED in ended:
            kept[at] = ended[TREE], facts_of(work, ended[DIVERGED])
            shared.leave(part.name, kept[at])
            continue
        trainings[at] = going(trainer, work, part)
        with forked(stream_seed(*work.order.purpose(), "initialisation")):
            go_on(at, trainings[at].__next__)
    while asked:
        first = min(asked, key=lambda at: asked[at][0].step)
        state, steps = asked[first]
        group = [at for at, (s, n) in asked.items() if (s.step, n) == (state.step, steps)]
        states = [asked.pop(at)[0] for at in group]
        fates = advance(trainer, states, steps)
        for at, own, fate in zip(group, states, fates, strict=True):
            training = trainings[at]
            if fate is None:
                go_on(at, lambda training=training, own=own: training.send(own))
            else:
                go_on(at, lambda training=training, fate=fate: training.throw(fate))
    return [kept[at] for at in range(len(works))]


@dataclass
class _Shared:
    """One checkpoint of several trainings: saved when each of those that still go on has offered
    its state, with what those gave that ended before.
    """

    saved: Saved
    going: set[str]
    offered: dict[str, Callable[[], Any]] = field(default_factory=dict)
    ended: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def begun(self) -> Any:
        """What was saved before, or None; read once for all."""
        return self.saved.load()

    def offer(
        self, name: str, state: Callable[[], Any], about: Mapping[str, Any] | None = None
    ) -> None:
        self.offered[name] = state
        if self.offered.keys() >= self.going:
            parts, self.offered = self.offered, {}
            ended = dict(self.ended)
            self.saved.offer(lambda: ended | {own: part() for own, part in parts.items()}, about)

    def leave(self, name: str, kept: Kept) -> None:
        """Its training has ended."""
        tree, facts = kept
        self.ended[name] = {TREE: tree, DIVERGED: facts["diverged"]}
        self.going.discard(name)
        self.offered.pop(name, None)


@dataclass
class _Part:
    """A training's part of it."""

    shared: _Shared
    name: str

    def load(self) -> Any:
        """Its state when all were saved, or None."""
        found = self.shared.begun
        return None if found is None else found.get(self.name)

    def offer(self, state: Callable[[], Any], about: Mapping[str, Any] | None = None) -> None:
        self.shared.offer(self.name, state, about)

    def clear(self) -> None:
        self.shared.saved.clear()

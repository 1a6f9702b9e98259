"""The engine of Auto-PGD: climbs that remember their best point and how they get on.

How a step is taken and when it is shortened is a rule: one for linf and l2, one for l1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from attacks.contracts import Box, Images, Labels, Model, Seeds, Stop
from attacks.goals import Goal
from attacks.gradients import ordinary
from attacks.heights import Height
from attacks.norms import spread


@dataclass
class Climbers:
    """The images still climbing; every field has one batch.

    aims: the class that each climb is for, None where it is for whichever is ahead. at, before:
    this iterate and the one before; slope, height: of `at`; best, best_height, best_slope: of the
    highest iterate; kept, lead: the iterate that is nearest to the goal or furthest beyond, which
    may be another one. length: of the next step; active: on how many pixels (l1). rises: how often
    the height grew since the last checkpoint; shortened, best_then, active_then: what was so there.
    """

    index: Tensor
    images: Tensor
    goal: Goal
    aims: Tensor | None
    radius: Tensor
    at: Tensor
    before: Tensor
    slope: Tensor
    height: Tensor
    best: Tensor
    best_height: Tensor
    best_slope: Tensor
    kept: Tensor
    lead: Tensor
    length: Tensor
    active: Tensor
    rises: Tensor
    shortened: Tensor
    best_then: Tensor
    active_then: Tensor

    def only(self, chosen: Tensor) -> Climbers:
        """Some of them."""
        whole: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        some: dict[str, Any] = {k: None if v is None else v[chosen] for k, v in whole.items()}
        return Climbers(**some)


class Rule(ABC):
    """How to begin, to step, and to step less far."""

    @abstractmethod
    def start(self, images: Images, radius: Tensor, seeds: Seeds, restart: int, box: Box) -> Images:
        """Random points of ball and box."""

    @abstractmethod
    def inside(self, images: Images, points: Images, radius: Tensor, box: Box) -> Images:
        """The points, put into the ball around the images and into the box."""

    @abstractmethod
    def begin(self, on: Climbers, fresh: bool) -> None:
        """Set the first length; `fresh` where the climb begins at random."""

    @abstractmethod
    def marks(self, steps: int) -> set[int]:
        """After which steps `look` is asked."""

    @abstractmethod
    def step(self, on: Climbers, box: Box, first: bool) -> Images:
        """The next iterates, inside ball and box."""

    @abstractmethod
    def look(self, on: Climbers, steps: int) -> None:
        """Shorten the steps of those that do not get on; `steps` since the last time."""


Stages = tuple[tuple[float, float], ...]
"""Factors of the radius, each with its share of the steps; the last takes what is left."""

NARROW: Stages = ((1.0, 1.0),)
WIDE: Stages = ((3.0, 0.3), (2.0, 0.3), (1.0, 0.4))
"""Within three times the radius, twice, and the radius (Croce and Hein 2021, section 4.3)."""


@dataclass(frozen=True)
class Ascent:
    """How a climb goes. In wide stages, it begins beyond the radius and each stage begins at the
    nearest point to the highest of the one before.
    """

    rule: Rule
    height: Height
    steps: int
    stages: Stages
    stop: Stop
    box: Box

    def climbs(
        self,
        model: Model,
        images: Images,
        goal: Goal,
        radius: Tensor,
        seeds: Seeds,
        restarts: Sequence[int],
        aims: Sequence[Labels | None],
    ) -> list[Images]:
        """Several climbs of each image at once, each from a start of its own (`restarts`) and for a
        class of its own (`aims`, all of them or none): what `climb` says, for each.
        """
        wide = self.stages[0][0] * radius
        begun = [self.rule.start(images, wide, seeds, number, self.box) for number in restarts]
        every = torch.arange(len(images), device=images.device).repeat(len(begun))
        known = [ordinary(each) for each in aims if each is not None]
        found = self.climb(
            model,
            images[every],
            goal[every],
            torch.cat(known) if known else None,
            radius=radius[every],
            points=torch.cat(begun),
        )
        return list(found.split(len(images)))

    def climb(
        self,
        model: Model,
        images: Images,
        goal: Goal,
        aims: Labels | None,
        *,
        radius: Tensor,
        points: Images,
    ) -> Images:
        """Of each image's iterates within the radius the one that is furthest beyond the goal, or
        nearest to it; with `stop="first_success"` the first that reaches it. points: where to
        begin.
        """
        rule, left = self.rule, self.steps
        for number, (factor, share) in enumerate(self.stages):
            last, wide = number == len(self.stages) - 1, factor * radius
            steps = left if last else int(share * self.steps)
            if number:
                points = rule.inside(images, points, wide, self.box)
            on = _begin(model, images, goal, aims, points, wide, self.height)
            rule.begin(on, fresh=not number)
            _climb(on, self, model, steps, last and self.stop == "first_success")
            points, left = (on.kept if last else on.best), left - steps
        return points


def _climb(whole: Climbers, how: Ascent, model: Model, steps: int, stops: bool) -> None:
    """Take the steps; what the climbs found is in `whole`."""
    on, last, marks = whole, 0, how.rule.marks(steps)
    for step in range(1, steps + 1):
        if stops:
            on = _leave(whole, on, on.lead > 0)
        if not len(on.index):
            return
        _arrive(on, model, how.rule.step(on, how.box, step == 1), how.height)
        if step in marks:
            how.rule.look(on, step - last)
            last = step
    _leave(whole, on, torch.ones_like(on.index, dtype=torch.bool))


def _leave(whole: Climbers, on: Climbers, done: Tensor) -> Climbers:
    """Write down what became of some; the others climb on."""
    if not bool(done.any()):
        return on
    if on is not whole:
        for name in ("best", "kept"):
            getattr(whole, name)[on.index[done]] = getattr(on, name)[done]
    return on.only(~done)


def _begin(
    model: Model,
    images: Images,
    goal: Goal,
    aims: Labels | None,
    begun: Images,
    radius: Tensor,
    raised: Height,
) -> Climbers:
    slope, height, ahead = raised.seen(model, begun, goal, aims)
    zero = torch.zeros_like(radius)
    return Climbers(
        index=torch.arange(len(images), device=images.device),
        images=images,
        goal=goal,
        aims=aims,
        radius=radius,
        at=begun,
        before=begun,
        slope=slope,
        height=height,
        best=begun.clone(),
        best_height=height.clone(),
        best_slope=slope.clone(),
        kept=begun.clone(),
        lead=ahead,
        length=zero,
        active=zero,
        rises=zero,
        shortened=torch.ones_like(zero, dtype=torch.bool),
        best_then=height.clone(),
        active_then=zero,
    )


def _arrive(on: Climbers, model: Model, moved: Images, raised: Height) -> None:
    """Take in what is seen at the next iterates."""
    on.before, on.at = on.at, moved
    on.slope, height, ahead = raised.seen(model, moved, on.goal, on.aims)
    on.rises = on.rises + (height > on.height)
    on.height = height
    better, clearer = height > on.best_height, ahead > on.lead
    on.best = _pick(better, moved, on.best)
    on.best_slope = _pick(better, on.slope, on.best_slope)
    on.best_height = torch.where(better, height, on.best_height)
    on.kept = _pick(clearer, moved, on.kept)
    on.lead = torch.where(clearer, ahead, on.lead)


def put_back(on: Climbers, chosen: Tensor) -> None:
    """The chosen go on from their best iterates."""
    on.at, on.before = (_pick(chosen, on.best, at) for at in (on.at, on.before))
    on.slope = _pick(chosen, on.best_slope, on.slope)
    on.height = torch.where(chosen, on.best_height, on.height)


def _pick(chosen: Tensor, these: Images, those: Images) -> Images:
    return torch.where(spread(chosen, these).bool(), these, those)

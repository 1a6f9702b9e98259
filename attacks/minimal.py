"""The engine of searches that take one gradient a step: of all points met that reach the goal, the
nearest is kept for each image.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from attacks.contracts import Box, Images, Labels, Model
from attacks.goals import Goal, check_targets
from attacks.gradients import differentiable, look, misled, ordinary
from attacks.landing import land, landing_of
from attacks.norms import PerImage, size
from attacks.objectives import Logits
from attacks.sides import Company, Mask, Sides, pull, sides, sloped

TINY = 1e-12


@dataclass
class Walk:
    """The images that are still searched for, and where they stand; a row of every tensor is an
    image. offset: `at` minus `images`, of size `far`; slope: of what the rule climbs, at `at`;
    lead: how far ahead the wanted answer is there; won: whether it reaches the goal; nearest: the
    least `far` of those that did, or infinity; memory: what the rule keeps of each image, by name.
    """

    index: Tensor
    images: Images
    goal: Goal
    at: Images
    offset: Images
    slope: Images
    far: PerImage
    lead: PerImage
    won: Mask
    nearest: PerImage
    memory: dict[str, Tensor] = field(default_factory=dict)

    def only(self, kept: Mask) -> Walk:
        """Some of the images."""
        return Walk(
            self.index[kept],
            self.images[kept],
            self.goal[kept],
            self.at[kept],
            self.offset[kept],
            self.slope[kept],
            self.far[kept],
            self.lead[kept],
            self.won[kept],
            self.nearest[kept],
            {name: value[kept] for name, value in self.memory.items()},
        )


class Rule(ABC):
    """How a search moves. who: the attack's name, for errors; norm: what is to be small; box: where
    points may be.
    """

    who: str
    norm: str
    box: Box

    def pull(self, sides: Sides) -> Logits:
        """The gradient, with respect to the logits, of what is climbed: the lead."""
        return pull(sides)

    @abstractmethod
    def begin(self, on: Walk) -> dict[str, Tensor]:
        """What is to be remembered of each image, at the start."""

    @abstractmethod
    def move(self, on: Walk, progress: float) -> Images:
        """The next points, in the box. What is remembered may change, and offset and slope may be
        written over. progress: from 0 to 1.
        """

    def over(self, on: Walk) -> Mask | None:
        """Which images can't be improved any more, or None where that can't be told."""
        return None


def walk(
    model: Model, images: Images, labels: Labels, targets: Labels | None, rule: Rule, steps: int
) -> Images:
    """The nearest points that reached the goal of `steps` points an image, the first of which is
    the image; the image itself where none did, where it is misclassified as it stands, and where
    no way leads out of it: its gradient is 0. Of the last point no gradient is taken. The last few
    points are those of a landing.

    Raises UsageError for targets that can't be aimed at.
    """
    if not len(images):
        return images.clone()
    shown, last = Company(model, len(images)), landing_of(steps)
    with differentiable():
        images, goal = ordinary(images), Goal(labels, targets).ordinary()
        found = _search(shown, images, goal, rule, steps - last)
        return land(shown, images, goal, found, rule.norm, rule.box) if last else found


def _search(model: Model, images: Images, goal: Goal, rule: Rule, steps: int) -> Images:
    best, on = images.clone(), _begun(model, images, goal, rule)
    for step in range(1, steps):
        if not len(on.index):
            break
        _go(on, rule.move(on, (step - 1) / steps), rule.norm)
        _evaluate(model, on, rule, last=step == steps - 1)
        better = on.won & (on.far < on.nearest)
        nearer = better.nonzero()[:, 0]
        if len(nearer):
            best.index_copy_(0, on.index[nearer], on.at.index_select(0, nearer))
            on.nearest = torch.where(better, on.far, on.nearest)
        over = rule.over(on)
        if over is not None and bool(over.any()):
            on = on.only(~over)
    return best


def annealed(start: float, end: float, progress: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def width(box: Box) -> float:
    """The range of a pixel, in whose units lengths are set; 1 where there is no box."""
    return 1.0 if box is None else box[1] - box[0]


def clamped(points: Images, box: Box) -> Images:
    """Points into the box, in their place."""
    return points if box is None else points.clamp_(*box)


def farthest(images: Images, norm: str, box: Box) -> PerImage:
    """How far the farthest point of the box is from each image; infinitely without one."""
    if box is None:
        return torch.full_like(images.flatten(1)[:, 0], torch.inf)
    return size(torch.maximum(images - box[0], box[1] - images), norm)


def _begun(model: Model, images: Images, goal: Goal, rule: Rule) -> Walk:
    def apart(logits: Logits) -> Sides:
        if goal.targets is not None:
            check_targets(goal.targets, goal.labels, logits.shape[1], rule.who)
        return sides(goal, logits)

    slope, of = sloped(model, images, apart, rule.pull)
    none = torch.zeros_like(slope.flatten(1)[:, 0])
    on = Walk(
        torch.arange(len(images), device=images.device),
        images,
        goal,
        images.clone(),
        torch.zeros_like(images),
        slope,
        none,
        of.lead,
        none > 0,
        none + torch.inf,
    )
    kept = ~misled(of.logits, goal.labels) & (slope != 0).flatten(1).any(1)
    on = on if bool(kept.all()) else on.only(kept)
    on.memory = rule.begin(on)
    return on


def _go(on: Walk, at: Images, norm: str) -> None:
    """To the next points; the memory of the last ones is used again."""
    on.offset, on.at = torch.sub(at, on.images, out=on.at), at
    on.far = size(on.offset, norm)


def _evaluate(model: Model, on: Walk, rule: Rule, last: bool) -> None:
    if last:
        of = sides(on.goal, look(model, on.at))
    else:
        on.slope, of = sloped(model, on.at, partial(sides, on.goal), rule.pull)
    on.lead, on.won = of.lead, of.won

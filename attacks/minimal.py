"""The engine of searches that take one gradient a step: of all points met that reach the goal, the
nearest is kept for each image.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from attacks.contracts import Box, Images, Labels, Model
from attacks.goals import Goal, check_targets
from attacks.gradients import ask, differentiable, look, misled, ordinary
from attacks.norms import PerImage, size, spread
from attacks.objectives import Logits, answered

# In units of rounding of the largest logit: a smaller lead might be lost in another batch.
SURE = 16
TINY = 1e-12

Mask = Bool[Tensor, " batch"]


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
    """How a search moves. who: the attack's name, for errors; norm: what is to be small."""

    who: str
    norm: str

    def pull(self, goal: Goal, logits: Logits) -> Logits:
        """The gradient, with respect to the logits, of what is climbed: the lead."""
        return pull(goal, logits)

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
    no way leads out of it: its gradient is 0. Of the last point no gradient is taken.

    Raises UsageError for targets that can't be aimed at.
    """
    if not len(images):
        return images.clone()
    with differentiable():
        images, goal = ordinary(images), Goal(labels, targets).ordinary()
        return _search(Company(model, len(images)), images, goal, rule, steps)


def _search(model: Model, images: Images, goal: Goal, rule: Rule, steps: int) -> Images:
    best, on = images.clone(), _begun(model, images, goal, rule)
    for step in range(1, steps):
        if not len(on.index):
            break
        _go(on, rule.move(on, (step - 1) / steps), rule.norm)
        _evaluate(model, on, rule, last=step == steps - 1)
        better = on.won & (on.far < on.nearest)
        if bool(better.any()):
            best[on.index[better]] = on.at[better]
            on.nearest = torch.where(better, on.far, on.nearest)
        over = rule.over(on)
        if over is not None and bool(over.any()):
            on = on.only(~over)
    return best


@dataclass(frozen=True)
class Company:
    """A model that sees no image alone, unless it came so: batch norm in training mode, which has
    no statistics of one, refuses it. The last one left is shown twice.
    """

    model: Model
    count: int

    def __call__(self, images: Images) -> Logits:
        if len(images) > 1 or self.count == 1:
            return self.model(images)
        return self.model(images.expand(2, *images.shape[1:]))[:1]


def pull(goal: Goal, logits: Logits) -> Logits:
    """The gradient of the lead: 1 for the wanted class that is ahead, -1 for what it is ahead of
    (the first of several that are level).
    """
    sign, own, rest = _sides(goal, logits)
    ahead = torch.zeros_like(logits).scatter_(1, rest.argmax(1, keepdim=True), sign)
    return ahead.scatter_(1, own, -sign)


def soft_pull(goal: Goal, logits: Logits) -> Logits:
    """The gradient of `Goal.rise`: the rivals in proportion to their probabilities."""
    sign, own, rest = _sides(goal, logits)
    return rest.softmax(1).mul_(sign).scatter_(1, own, -sign)


def _sides(goal: Goal, logits: Logits) -> tuple[float, Labels, Logits]:
    """1 or, where there are targets, -1; the label or target; the logits of all others."""
    sign, classes = (1.0, goal.labels) if goal.targets is None else (-1.0, goal.targets)
    own = classes[:, None]
    return sign, own, logits.scatter(1, own, -torch.inf)


def sure(logits: Logits, leads: PerImage) -> Mask:
    """Where a lead is more than the rounding of its logits."""
    return leads > SURE * torch.finfo(logits.dtype).eps * logits.abs().amax(1)


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
    def pull(logits: Logits) -> Logits:
        if goal.targets is not None:
            check_targets(goal.targets, goal.labels, logits.shape[1], rule.who)
        return rule.pull(goal, logits)

    slope, logits = _pulled(model, images, pull)
    none = torch.zeros_like(slope.flatten(1)[:, 0])
    on = Walk(
        torch.arange(len(images), device=images.device),
        images,
        goal,
        images.clone(),
        torch.zeros_like(images),
        slope,
        none,
        goal.lead(logits),
        none > 0,
        none + torch.inf,
    )
    on = on.only(~misled(logits, goal.labels) & (slope != 0).flatten(1).any(1))
    on.memory = rule.begin(on)
    return on


def _go(on: Walk, at: Images, norm: str) -> None:
    """To the next points; the memory of the last ones is used again."""
    on.offset, on.at = torch.sub(at, on.images, out=on.at), at
    on.far = size(on.offset, norm)


def _evaluate(model: Model, on: Walk, rule: Rule, last: bool) -> None:
    if last:
        logits = look(model, on.at)
    else:
        on.slope, logits = _pulled(model, on.at, lambda logits: rule.pull(on.goal, logits))
    on.lead = on.goal.lead(logits)
    on.won = sure(logits, on.lead)


def _pulled(
    model: Model, images: Images, pull: Callable[[Logits], Logits]
) -> tuple[Images, Logits]:
    """The slope at the images and the logits there; 0 where these are not finite, and of a model
    that cuts the graph.
    """
    with differentiable():
        points = images.detach().requires_grad_()
        logits = ask(model, points)
    seen = logits.detach()
    weights, slope = pull(seen), None
    if logits.requires_grad:
        (slope,) = torch.autograd.grad(logits, points, weights, allow_unused=True)
    if slope is None:
        return torch.zeros_like(images), seen
    known = answered(seen)
    return (slope if bool(known.all()) else torch.where(spread(known, slope) > 0, slope, 0.0)), seen

"""Projected steepest ascent: the engine of BIM, PGD and MI-FGSM."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from attacks.contracts import Box, Images, Model, Radius, Stop
from attacks.goals import Goal, slope
from attacks.gradients import look
from attacks.norms import into_box, project, steepest, unit

Keep = Literal["best", "last"]


@dataclass(frozen=True)
class Steps:
    """How to climb. count: of steps. length: of a step, as a share of the radius. momentum: the
    decay of the accumulated gradient, None where each step sees its own alone. keep: the iterate
    that is returned, the "best" one met (by its lead) or the "last".
    """

    count: int
    length: float
    momentum: float | None = None
    keep: Keep = "best"


@dataclass(frozen=True)
class _Climbers:
    """The images still climbing, and where they stand; the fields have one batch."""

    index: Tensor
    images: Tensor
    goal: Goal
    radius: Tensor
    at: Tensor
    velocity: Tensor

    def only(self, kept: Tensor) -> _Climbers:
        return _Climbers(*(value[kept] for value in vars(self).values()))


class _Kept:
    """The iterate to return of each image, so far."""

    def __init__(self, starts: Tensor, keep: Keep) -> None:
        self.images = starts.clone()
        self._leads = torch.full((len(starts),), -torch.inf, device=starts.device)
        self._keep = keep

    def offer(self, climbers: _Climbers, logits: Tensor) -> None:
        """Replace those that are worse; all of them where the last is wanted."""
        index, leads = climbers.index, climbers.goal.lead(logits)
        better = leads > self._leads[index] if self._keep == "best" else leads == leads
        self.images[index[better]] = climbers.at[better]
        self._leads[index[better]] = leads[better].to(self._leads)


def climb(
    model: Model,
    images: Images,
    goal: Goal,
    starts: Images,
    steps: Steps,
    *,
    radius: Radius,
    norm: str,
    box: Box,
    stop: Stop = "never",
) -> Images:
    """Steepest steps from `starts`, each put back into the ball and then into the box.

    With `stop="first_success"` an image leaves with the first iterate that reaches the goal.
    """
    radii = torch.as_tensor(radius, dtype=images.dtype, device=images.device).expand(len(images))
    order = torch.arange(len(images), device=images.device)
    on = _Climbers(order, images, goal, radii, starts, torch.zeros_like(images))
    kept = _Kept(starts, steps.keep)
    for _ in range(steps.count):
        gradient, logits = slope(model, on.at, on.goal)
        if stop == "first_success" or steps.keep == "best":
            kept.offer(on, logits)
        if stop == "first_success":
            going = ~on.goal.reached(logits)
            on, gradient = on.only(going), gradient[going]
        if not len(on.index):
            return kept.images
        on = _step(on, gradient, steps, norm, box)
    if steps.keep == "best":
        kept.offer(on, look(model, on.at))
    else:
        kept.images[on.index] = on.at
    return kept.images


def _step(on: _Climbers, gradient: Tensor, steps: Steps, norm: str, box: Box) -> _Climbers:
    velocity = on.velocity
    if steps.momentum is not None:
        velocity = gradient = steps.momentum * velocity + unit(gradient, "l1")
    length, within = steps.length * on.radius, box if norm == "l1" else None
    moved = steepest(on.at, gradient, length, norm, within)
    inside = on.images + project(moved - on.images, on.radius, norm)
    return replace(on, at=into_box(inside, box), velocity=velocity)

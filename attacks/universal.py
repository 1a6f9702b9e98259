"""Universal perturbations: one for a whole set of images, and for those that come after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from attacks.contracts import (
    ATTACKS,
    UNIT,
    Box,
    FixedBudget,
    Images,
    Labels,
    Model,
    Radius,
    Seeds,
    Stop,
)
from attacks.goals import Goal, slope
from attacks.norms import into_box, moved, project, refuse, spread, steepest
from attacks.pgd import starts
from attacks.radii import moving
from attacks.streams import uniform
from bench.core.errors import UsageError

Shared = Float[Tensor, "1 *image"]
"""One perturbation for all images."""


@dataclass(frozen=True)
class Universal(FixedBudget):
    """Shafahi et al. 2020, algorithm 1: steepest ascent of the mean objective over minibatches.

    `steps` steps, the first `step_size` radii long and each after it shorter by as much; batches of
    at most `batch` images in an order of their seeds, a new one for each round. It starts within
    the ball, at random by the first image's seed (the paper: at 0). ceiling: where the objective of
    an image is cut off, so that none outweighs the others (the paper's beta, there of
    cross-entropy, here of log((1 - p) / p)); None for nowhere. Each image has the perturbation
    times its own radius, clipped to the box by itself, which the gradient knows of.

    The attack fits what it is asked for to the very images that it is given: by design they are not
    independent of each other. `fit` is for images that others follow.
    """

    steps: int = 100
    batch: int = 128
    step_size: float = 0.3
    ceiling: float | None = None
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        radius: Radius,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        stop: Stop = "never",
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "a universal perturbation")

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            way = _direction(self, model, x, goal, radii, drawn, norm, box)
            return moved(x, way, radii, box)

        return moving(attack, images, Goal(labels, targets), radius, seeds)


def fit(
    plan: Universal,
    model: Model,
    images: Images,
    labels: Labels,
    *,
    radius: float,
    norm: str,
    seeds: Seeds,
    box: Box = UNIT,
    targets: Labels | None = None,
) -> Shared:
    """The perturbation of at most `radius` that a plan finds for some images, to be added to any.

    targets: what each image is to be taken for; None for anything but its label. Raises UsageError
    for an unknown norm and for no images.
    """
    refuse(norm, plan.norms, "a universal perturbation")
    if not len(images):
        raise UsageError("a universal perturbation is fitted to images: expected some, got none")
    radii = torch.full_like(labels, radius, dtype=images.dtype)
    goal = Goal(labels, targets).ordinary()
    return radius * _direction(plan, model, images, goal, radii, seeds, norm, box)


def _direction(
    plan: Universal,
    model: Model,
    images: Images,
    goal: Goal,
    radii: Tensor,
    seeds: Seeds,
    norm: str,
    box: Box,
) -> Shared:
    """The perturbation for a radius of 1."""

    way = starts(torch.zeros_like(images[:1]), 1.0, norm, seeds[:1], 0, None)
    batches = -(-len(images) // plan.batch)
    order = torch.arange(len(images), device=images.device)
    for step in range(plan.steps):
        if batches > 1 and step % batches == 0:
            order = uniform(seeds, (), step, 1).argsort(stable=True)
        some = order[step % batches :: batches]
        points = images[some] + spread(radii[some], images) * way
        inside = into_box(points, box)
        rising, _ = slope(model, inside, goal[some], plan.ceiling)
        rising = torch.where(inside == points, rising, 0.0) * spread(radii[some], images)
        length = plan.step_size * (1 - step / plan.steps)
        way = project(steepest(way, rising.sum(0, keepdim=True), length, norm, None), 1.0, norm)
    return way


ATTACKS.register(
    "universal",
    paper="arXiv:1811.11304",
    summary="One perturbation for all images of a batch",
    exempt=(
        "each-image-may-have-its-own-radius: one perturbation is fitted to all radii",
        "logits-that-are-not-finite-are-no-success[l2]: the last perturbation serves all images",
    ),
    batchwise=True,
    draws=True,
    aims=True,
)(Universal())

"""Auto-PGD: steepest ascent that finds the length of its steps by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
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
from attacks.gradients import ascent
from attacks.norms import into_box, project, refuse, spread, steepest
from attacks.objectives import lead
from attacks.pgd import restarted, starts

MOMENTUM = 0.75
RISING = 0.75
ROUNDING = 1e-9


@dataclass
class _Climbers:
    """The images still climbing; every field has one batch.

    at, before: this iterate and the one before; length: of the next step; leads: of `at`; best,
    best_leads, best_slope: of the best iterate met; rises: how often the lead grew since the last
    checkpoint; reduced, best_then: whether the step was halved there, and the best lead then.
    """

    index: Tensor
    images: Tensor
    labels: Tensor
    radius: Tensor
    at: Tensor
    before: Tensor
    slope: Tensor
    length: Tensor
    leads: Tensor
    best: Tensor
    best_leads: Tensor
    best_slope: Tensor
    rises: Tensor
    reduced: Tensor
    best_then: Tensor

    def only(self, kept: Tensor) -> _Climbers:
        return _Climbers(*(getattr(self, field.name)[kept] for field in fields(self)))


@dataclass(frozen=True)
class Apgd(FixedBudget):
    """Croce and Hein 2020, algorithm 1: momentum, and at each checkpoint a step half as long for
    the images that rose in too few steps or not at all, from the best iterate they met.

    What rises is the lead, the highest wrong logit minus the label's (their DLR loss without its
    denominator; they use cross-entropy too). Of all iterates the best is returned; the best of
    `restarts` climbs from random points. With `stop="first_success"` an image leaves with its
    first misclassified iterate.
    """

    steps: int = 100
    restarts: int = 1
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
    ) -> Images:
        refuse(norm, self.norms, "apgd")
        radii = torch.as_tensor(radius, dtype=images.dtype, device=images.device)
        radii = radii.expand(len(images))

        def once(restart: int, chosen: Tensor) -> Tensor:
            begun = starts(images[chosen], radii[chosen], norm, seeds[chosen], restart, box)
            given = (model, images[chosen], labels[chosen], begun, radii[chosen])
            return self._climb(*given, norm, box, stop)

        return restarted(once, self.restarts, model, labels, stop)

    def _climb(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        begun: Images,
        radius: Tensor,
        norm: str,
        box: Box,
        stop: Stop,
    ) -> Images:
        on, result = _begin(model, images, labels, begun, radius), begun.clone()
        marks = checkpoints(self.steps)
        last = 0
        for step in range(1, self.steps + 1):
            if stop == "first_success":
                won = on.best_leads > 0
                result[on.index[won]] = on.best[won]
                on = on.only(~won)
            if not len(on.index):
                break
            _advance(on, model, norm, box, first=step == 1)
            if step in marks:
                _check(on, step - last)
                last = step
        result[on.index] = on.best
        return result


def checkpoints(steps: int) -> set[int]:
    """After which steps the length is looked at: at .22 of them, then ever closer, by .06 at last
    (Croce and Hein 2020, section 3.2).
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return {math.ceil(share * steps - ROUNDING) for share in shares[1:] if share < 1}


def _begin(
    model: Model, images: Images, labels: Labels, begun: Images, radius: Tensor
) -> _Climbers:
    slope, logits = ascent(model, begun, labels, lead)
    leads, count = lead(logits, labels), len(images)
    return _Climbers(
        index=torch.arange(count, device=images.device),
        images=images,
        labels=labels,
        radius=radius,
        at=begun,
        before=begun,
        slope=slope,
        length=2 * radius,
        leads=leads,
        best=begun.clone(),
        best_leads=leads.clone(),
        best_slope=slope.clone(),
        rises=torch.zeros(count, device=images.device),
        reduced=torch.ones(count, dtype=torch.bool, device=images.device),
        best_then=leads.clone(),
    )


def _advance(on: _Climbers, model: Model, norm: str, box: Box, first: bool) -> None:
    """One step with momentum, and its bookkeeping."""

    def inside(points: Tensor) -> Tensor:
        return into_box(on.images + project(points - on.images, on.radius, norm), box)

    stepped = inside(steepest(on.at, on.slope, on.length, norm, None))
    share = 1.0 if first else MOMENTUM
    moved = inside(on.at + share * (stepped - on.at) + (1 - share) * (on.at - on.before))
    on.before, on.at = on.at, moved
    on.slope, logits = ascent(model, moved, on.labels, lead)
    leads = lead(logits, on.labels)
    on.rises = on.rises + (leads > on.leads)
    on.leads = leads
    better = leads > on.best_leads
    wide = spread(better, on.at).bool()
    on.best = torch.where(wide, moved, on.best)
    on.best_slope = torch.where(wide, on.slope, on.best_slope)
    on.best_leads = torch.where(better, leads, on.best_leads)


def _check(on: _Climbers, steps: int) -> None:
    """Halve the step of those that do not get on, and put them back where they were best."""
    stuck = ~on.reduced & (on.best_leads <= on.best_then)
    halved = (on.rises < RISING * steps) | stuck
    wide = spread(halved, on.at).bool()
    on.length = torch.where(halved, on.length / 2, on.length)
    on.at = torch.where(wide, on.best, on.at)
    on.before = torch.where(wide, on.best, on.before)
    on.slope = torch.where(wide, on.best_slope, on.slope)
    on.leads = torch.where(halved, on.best_leads, on.leads)
    on.reduced, on.best_then = halved, on.best_leads.clone()
    on.rises = torch.zeros_like(on.rises)


ATTACKS.register(
    "apgd", paper="arXiv:2003.01690", summary="Auto-PGD, step lengths found on the way", draws=True
)(Apgd())

ATTACKS.register(
    "apgd-restarts",
    paper="arXiv:2003.01690",
    summary="Auto-PGD, five climbs of 40 steps",
    draws=True,
)(Apgd(steps=40, restarts=5))

"""Auto-PGD: steepest ascent that finds the length of its steps by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.apgd_l1 import Sparse
from attacks.autopgd import NARROW, UNTARGETED, WIDE, Ascent, Climbers, Rule, put_back
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
from attacks.gradients import look
from attacks.norms import into_box, project, refuse, steepest
from attacks.pgd import restarted, starts
from attacks.radii import moving

MOMENTUM = 0.75
RISING = 0.75
ROUNDING = 1e-9


@dataclass(frozen=True)
class Dense(Rule):
    """Croce and Hein 2020, algorithm 1, in linf and l2: momentum, and at each checkpoint a step
    half as long for the images that rose in too few steps or not at all, from the best iterate
    they met.
    """

    norm: str

    def start(self, images: Images, radius: Tensor, seeds: Seeds, restart: int, box: Box) -> Images:
        return starts(images, radius, self.norm, seeds, restart, box)

    def inside(self, images: Images, points: Images, radius: Tensor, box: Box) -> Images:
        return into_box(images + project(points - images, radius, self.norm), box)

    def begin(self, on: Climbers, fresh: bool) -> None:
        on.length = 2 * on.radius

    def marks(self, steps: int) -> set[int]:
        return checkpoints(steps)

    def step(self, on: Climbers, box: Box, first: bool) -> Images:
        stepped = steepest(on.at, on.slope, on.length, self.norm, None)
        stepped = self.inside(on.images, stepped, on.radius, box)
        share = 1.0 if first else MOMENTUM
        moved = on.at + share * (stepped - on.at) + (1 - share) * (on.at - on.before)
        return self.inside(on.images, moved, on.radius, box)

    def look(self, on: Climbers, steps: int) -> None:
        stuck = ~on.shortened & (on.best_height <= on.best_then)
        halved = (on.rises < RISING * steps) | stuck
        on.length = torch.where(halved, on.length / 2, on.length)
        put_back(on, halved)
        on.shortened, on.best_then = halved, on.best_height.clone()
        on.rises = torch.zeros_like(on.rises)


def checkpoints(steps: int) -> set[int]:
    """After which steps the length is looked at: at .22 of them, then ever closer, by .06 at last
    (Croce and Hein 2020, section 3.2).
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return {math.ceil(share * steps - ROUNDING) for share in shares[1:] if share < 1}


@dataclass(frozen=True)
class Apgd(FixedBudget):
    """Auto-PGD, climbs from random points: Croce and Hein 2020, algorithm 1, and in l1 2021,
    algorithm 2.

    `restarts` climbs raise the lead, the highest wrong logit minus the label's (their DLR loss
    without its denominator; they use cross-entropy too); then `targets` climbs raise one wrong
    logit each over the label's, the likeliest class first. Those with a target, and all in l1,
    begin beyond the radius, which they propose for l1 alone. Of all iterates the one of the highest
    lead is returned. With `stop="first_success"` an image leaves with its first misclassified
    iterate. l1_restarts: the untargeted climbs in l1, where more depends on the start (the standard
    AutoAttack has five there and one elsewhere); 0 for as many as elsewhere.
    """

    steps: int = 100
    restarts: int = 1
    targets: int = 0
    l1_restarts: int = 0
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

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
        rule = Sparse() if norm == "l1" else Dense(norm)

        restarts = (norm == "l1" and self.l1_restarts) or self.restarts

        def attack(x: Images, y: Labels, radii: Tensor, drawn: Seeds) -> Images:
            aims = self._aims(model, x, y, restarts)

            def once(number: int, chosen: Tensor) -> Tensor:
                wide = norm == "l1" or number >= restarts
                ascent = Ascent(rule, self.steps, WIDE if wide else NARROW, stop, box)
                own = {"radius": radii[chosen], "seeds": drawn[chosen], "restart": number}
                return ascent.climb(model, x[chosen], y[chosen], aims[number][chosen], **own)

            return restarted(once, len(aims), model, y, stop)

        return moving(attack, images, labels, radius, seeds)

    def _aims(self, model: Model, images: Images, labels: Labels, restarts: int) -> list[Labels]:
        """What each climb is for: a target for each image, or none."""
        free = [torch.full_like(labels, UNTARGETED)] * restarts
        if not self.targets:
            return free
        logits = look(model, images).scatter(1, labels[:, None], -torch.inf)
        likeliest = logits.argsort(dim=1, descending=True, stable=True)[:, :-1]
        return [*free, *likeliest[:, : self.targets].T]


ATTACKS.register(
    "apgd", paper="arXiv:2003.01690", summary="Auto-PGD, step lengths found on the way", draws=True
)(Apgd())

ATTACKS.register(
    "apgd-restarts",
    paper="arXiv:2003.01690",
    summary="Auto-PGD, climbs of 60 steps: four for one class each after one for any (five in l1)",
    draws=True,
)(Apgd(steps=60, restarts=1, targets=4, l1_restarts=5))

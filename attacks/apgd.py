"""Auto-PGD: steepest ascent that finds the length of its steps by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.apgd_l1 import Sparse
from attacks.autopgd import NARROW, WIDE, Ascent, Climbers, Rule, put_back
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
from attacks.goals import Goal, likeliest
from attacks.gradients import look
from attacks.heights import Height, Loss
from attacks.norms import into_box, project, refuse, steepest
from attacks.pgd import starts
from attacks.radii import moving
from attacks.restarts import tried

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

    `restarts` climbs are for whichever wrong class is ahead; then `classes` climbs are for one
    class each, the likeliest first. loss: what they raise; "lead" is the highest wrong logit minus
    the label's ("dlr" without its denominator), "ce" the margin, whose order and direction are
    those of cross-entropy. In l1 climbs begin beyond the radius, and those for one class where
    `wide` says so, which they propose for l1 alone. Of all iterates the one of the highest lead is
    returned; with `stop="first_success"` an image leaves with the first that is misclassified.
    l1_restarts, l1_classes: the climbs in l1, where more depends on the start (the standard
    AutoAttack has five there for any and for one class each); 0 for as many as elsewhere. draws: of
    a model that answers at random, averaged at every point (expectation over transformations,
    Athalye et al. 2018).

    With targets given, all climbs for any class are for the target, and there are no others.
    """

    steps: int = 100
    restarts: int = 1
    classes: int = 0
    l1_restarts: int = 0
    l1_classes: int = 0
    loss: Loss = "lead"
    wide: bool = True
    draws: int = 1
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
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "apgd")
        rule = Sparse() if norm == "l1" else Dense(norm)
        height = Height(self.loss, self.draws)

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            aims = self._aims(model, x, goal, norm)

            free = sum(aimed is None for aimed in aims)
            numbers = list(range(len(aims)))

            def once(numbers: list[int], chosen: Tensor) -> list[Images]:
                aimed = aims[numbers[0]] is not None
                wide = norm == "l1" or (self.wide and aimed)
                ascent = Ascent(rule, height, self.steps, WIDE if wide else NARROW, stop, box)
                some = (x[chosen], goal[chosen], radii[chosen], drawn[chosen])
                own = [aims[n] for n in numbers]
                return ascent.climbs(
                    model, *some, numbers, [a if a is None else a[chosen] for a in own]
                )

            lots = [*([n] for n in numbers[:free]), numbers[free:]]
            return tried(once, lots, model, x, goal, stop)

        return moving(attack, images, Goal(labels, targets), radius, seeds)

    def _aims(self, model: Model, images: Images, goal: Goal, norm: str) -> Sequence[Labels | None]:
        """What each climb is for: a class for each image, or None."""
        restarts, classes = self.restarts, self.classes
        if norm == "l1":
            restarts, classes = self.l1_restarts or restarts, self.l1_classes or classes
        if not classes or goal.targets is not None:
            return [None] * max(restarts, 1)
        return [*[None] * restarts, *likeliest(look(model, images), goal.labels)[:classes]]


ATTACKS.register(
    "apgd",
    paper="arXiv:2003.01690",
    summary="Auto-PGD, step lengths found on the way",
    draws=True,
    aims=True,
)(Apgd())

ATTACKS.register(
    "apgd-restarts",
    paper="arXiv:2003.01690",
    summary="Auto-PGD, climbs of 60 steps: four for one class each after one for any (five in l1)",
    draws=True,
    aims=True,
)(Apgd(steps=60, restarts=1, classes=4, l1_restarts=5))

ATTACKS.register(
    "apgd-ce",
    paper="arXiv:2003.01690",
    summary="Auto-PGD on cross-entropy",
    draws=True,
    aims=True,
)(Apgd(loss="ce", l1_restarts=5))

ATTACKS.register(
    "apgd-dlr",
    paper="arXiv:2003.01690",
    summary="Auto-PGD on the difference of logits ratio",
    draws=True,
    aims=True,
)(Apgd(loss="dlr", l1_restarts=5))

ATTACKS.register(
    "apgd-t",
    paper="arXiv:2003.01690",
    summary="Auto-PGD on the ratio for one class each, nine of them (five in l1)",
    draws=True,
    aims=True,
)(Apgd(loss="dlr", restarts=0, classes=9, l1_classes=5, wide=False))

"""FAB with a radius: the nearest misclassified images, as far as they are near enough."""

from __future__ import annotations

from dataclasses import dataclass
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
from attacks.fab import Boundary
from attacks.goals import Goal, check_targets, likeliest
from attacks.gradients import look
from attacks.norms import into_box, refuse, spread, unit
from attacks.radii import moving
from attacks.restarts import tried
from attacks.streams import normal, uniform

HALF = 0.5
EXEMPT = (
    "an-attack-stays-in-the-ball-and-the-box: it moves no image that it can't mislead",
    "climbers-reach-the-optimum-of-a-linear-model: it stops at the boundary",
    "an-attack-aims-at-its-targets: it moves no image that does not reach its target",
    "a-radius-of-0-costs-nothing: images leave at different times",
)


@dataclass(frozen=True)
class FabT(FixedBudget):
    """Croce and Hein 2020, their targeted version as AutoAttack runs it: a search of `steps` steps
    to the boundary of each of `classes` wrong classes, the likeliest first, and the image as it was
    where none of them ends within the radius. An image leaves with the first that does, whatever
    `stop` says: nearer is not better here. After the first, `restarts` begin at random, half of the
    radius away.
    """

    steps: int = 100
    classes: int = 9
    restarts: int = 1
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
        refuse(norm, self.norms, "fab-t")

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            return self._attack(model, x, goal, radii, drawn, norm, box)

        return moving(attack, images, Goal(labels, targets), radius, seeds)

    def _attack(
        self,
        model: Model,
        images: Images,
        goal: Goal,
        radii: Tensor,
        seeds: Seeds,
        norm: str,
        box: Box,
    ) -> Images:
        aims = self._aims(look(model, images), goal)

        count = len(aims)

        def once(numbers: list[int], chosen: Tensor) -> list[Images]:
            every, restart = chosen.repeat(len(numbers)), numbers[0] // count
            some, own = images[every], radii[every]
            starts = _starts(some, own, norm, seeds[every], restart, box) if restart else some
            to = torch.cat([aims[number % count][chosen] for number in numbers])
            boundary = Boundary(self.steps, norm, box, goal.targets is not None, own)
            found, far = boundary.search(model, some, goal.labels[every], to, starts)
            near = spread(far <= own, some).bool()
            return list(torch.where(near, found, some).split(len(chosen)))

        lots = [list(range(count * r, count * r + count)) for r in range(self.restarts)]
        return tried(once, lots, model, images, goal, "first_success")

    def _aims(self, logits: Tensor, goal: Goal) -> Tensor:
        """One wrong class for each image, one after another, [searches, batch]."""
        if goal.targets is None:
            return likeliest(logits, goal.labels)[: self.classes]
        check_targets(goal.targets, goal.labels, logits.shape[1], "fab-t")
        return goal.targets[None]


def _starts(
    images: Images, radii: Tensor, norm: str, seeds: Seeds, restart: int, box: Box
) -> Images:
    """Random points half of the radius away."""
    shape = tuple(images.shape[1:])
    if norm == "linf":
        way = unit(2 * uniform(seeds, shape, restart).to(images.dtype) - 1, norm)
    else:
        way = unit(normal(seeds, shape, restart).to(images.dtype), norm)
    return into_box(images + HALF * spread(radii, images) * way, box)


ATTACKS.register(
    "fab-t",
    paper="arXiv:1907.02044",
    summary="FAB within a radius, for nine classes one after another",
    exempt=EXEMPT,
    aims=True,
)(FabT())

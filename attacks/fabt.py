"""FAB with a radius: the nearest misclassified images, as far as they are near enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
from attacks.gradients import look, ordinary
from attacks.norms import into_box, refuse, spread, unit
from attacks.radii import moving
from attacks.streams import normal, uniform

HALF = 0.5


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
        result, logits = images.clone(), look(model, images)
        left = (~goal.reached(logits)).nonzero()[:, 0]
        for restart in range(self.restarts):
            for aims in map(ordinary, self._aims(logits, goal)):
                if not len(left):
                    return result
                some, own = images[left], radii[left]
                starts = (
                    some if not restart else _starts(some, own, norm, seeds[left], restart, box)
                )
                boundary = Boundary(self.steps, norm, box, goal.targets is not None, own)
                labels = ordinary(goal.labels)[left]
                found, far = boundary.search(model, some, labels, aims[left], starts)
                won = far <= own
                result[left[won]] = found[won]
                left = left[~won]
        return result

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
    aims=True,
)(FabT())

"""Projected gradient descent from random starts."""

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
from attacks.goals import Goal
from attacks.iterative import Keep, Steps, climb
from attacks.norms import into_box, refuse, spread, unit
from attacks.radii import moving
from attacks.restarts import tried
from attacks.streams import normal, uniform


@dataclass(frozen=True)
class Pgd(FixedBudget):
    """Madry et al. 2018, section 2: `restarts` climbs of `steps` steps from random points.

    A step is `step_size` times the radius. keep: of every climb the
    "best" iterate or the "last"; of the climbs always the best. A restart spares the images that
    are misclassified already where `stop="first_success"`.
    """

    steps: int = 40
    step_size: float = 0.0625
    restarts: int = 1
    random_start: bool = True
    keep: Keep = "best"
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
        refuse(norm, self.norms, "pgd")
        steps = Steps(self.steps, self.step_size, None, self.keep)

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            def once(numbers: list[int], chosen: Tensor) -> list[Images]:
                (number,), own, kept = numbers, radii[chosen], x[chosen]
                begun = kept
                if self.random_start:
                    begun = starts(kept, own, norm, drawn[chosen], number, box)
                given = {"radius": own, "norm": norm, "box": box, "stop": stop}
                return [climb(model, kept, goal[chosen], begun, steps, **given)]

            lots = [[number] for number in range(self.restarts)]
            return tried(once, lots, model, x, goal, stop)

        return moving(attack, images, Goal(labels, targets), radius, seeds)


def starts(
    images: Images, radius: Radius, norm: str, seeds: Seeds, restart: int, box: Box
) -> Images:
    """Random points of the ball: linf: uniform in the cube; l2 and l1: in a random direction,
    uniform in length to the power of 1/d.
    """
    shape = tuple(images.shape[1:])
    if norm == "linf":
        offset = 2 * uniform(seeds, shape, restart).to(images.dtype) - 1
    else:
        share = uniform(seeds, (), restart, 1).to(images.dtype) ** (1 / images.shape[1:].numel())
        offset = unit(normal(seeds, shape, restart).to(images.dtype), norm)
        offset = offset * spread(share, images)
    return into_box(images + spread(radius, images) * offset, box)


ATTACKS.register(
    "pgd",
    paper="arXiv:1706.06083",
    summary="Projected gradient descent, best iterate kept",
    draws=True,
    aims=True,
)(Pgd())

ATTACKS.register(
    "pgd-last",
    paper="arXiv:1706.06083",
    summary="Projected gradient descent, last iterate",
    draws=True,
    aims=True,
)(Pgd(keep="last"))

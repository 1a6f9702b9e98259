"""The basic iterative method: small FGSM steps from the image itself."""

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
from attacks.norms import refuse
from attacks.radii import moving


@dataclass(frozen=True)
class Bim(FixedBudget):
    """Kurakin et al. 2016, equation 2: `steps` steps of `step_size` times the radius.

    The paper's step is one grey level; a tenth of the radius reaches its edge in 10 steps.
    momentum: of the gradient, none in the paper.
    """

    steps: int = 10
    step_size: float = 0.1
    momentum: float | None = None
    keep: Keep = "last"
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
        refuse(norm, self.norms, "an iterative attack")
        steps = Steps(self.steps, self.step_size, self.momentum, self.keep)

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            return climb(model, x, goal, x, steps, radius=radii, norm=norm, box=box, stop=stop)

        return moving(attack, images, Goal(labels, targets), radius, seeds)


ATTACKS.register("bim", paper="arXiv:1607.02533", summary="Basic iterative method", aims=True)(
    Bim()
)

ATTACKS.register(
    "mi-fgsm",
    paper="arXiv:1710.06081",
    summary="Iterative method with momentum (decay 1)",
    aims=True,
)(Bim(momentum=1.0))

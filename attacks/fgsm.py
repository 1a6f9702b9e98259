"""The fast gradient sign method: one gradient, one step, every radius."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, Model, Radius, Ray, Seeds
from attacks.goals import Goal, slope
from attacks.norms import heading, moved, refuse, steepest


@dataclass(frozen=True)
class Fgsm(Ray):
    """x + epsilon sign(grad J(x, y)) (Goodfellow et al. 2014, section 4).

    In l2 the step is along the gradient, in l1 on its largest entries: the steepest ascent of the
    linearised objective in each norm.
    """

    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def direction(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        norm: str,
        seeds: Seeds,
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "fgsm")
        return heading(slope(model, images, Goal(labels, targets))[0], norm)

    def along(
        self, images: Images, direction: Images, *, radius: Radius, norm: str, box: Box = UNIT
    ) -> Images:
        if norm == "l1":
            return steepest(images, direction, radius, norm, box)
        return moved(images, direction, radius, box)


ATTACKS.register("fgsm", paper="arXiv:1412.6572", summary="Fast gradient sign method", aims=True)(
    Fgsm()
)

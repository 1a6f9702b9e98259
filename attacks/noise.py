"""Noise of the same size as an attack: the control that any attack has to beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, Model, Radius, Ray, Seeds
from attacks.norms import moved, refuse, unit
from attacks.streams import normal, signs, uniform


@dataclass(frozen=True)
class Noise(Ray):
    """Random directions. l2 and l1: of exactly the given length before clipping. linf: signs have
    that length in every pixel, uniform noise is uniform on [-epsilon, epsilon], and Gaussian noise
    is scaled so that its largest entry has it. Targets change nothing.
    """

    draw: Callable[[Seeds, tuple[int, ...]], Tensor]
    bounded: bool = True
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
        refuse(norm, self.norms, "noise")
        drawn = self.draw(seeds, tuple(images.shape[1:])).to(images.dtype)
        return drawn if norm == "linf" and self.bounded else unit(drawn, norm)

    def along(
        self, images: Images, direction: Images, *, radius: Radius, norm: str, box: Box = UNIT
    ) -> Images:
        return moved(images, direction, radius, box)


def _uniform(seeds: Seeds, shape: tuple[int, ...]) -> Tensor:
    return 2 * uniform(seeds, shape) - 1


UNIFORM, SIGN = Noise(_uniform), Noise(signs)

_CONTROL: dict[str, Any] = {"gradients": False, "noise": True, "aims": True}

ATTACKS.register(
    "uniform-noise", paper="arXiv:1412.6572", summary="Uniform noise, a control", **_CONTROL
)(UNIFORM)

ATTACKS.register(
    "sign-noise", paper="arXiv:1412.6572", summary="Random signs, a control", **_CONTROL
)(SIGN)

ATTACKS.register(
    "gaussian-noise", paper="arXiv:1312.6199", summary="Gaussian noise, a control", **_CONTROL
)(Noise(normal, bounded=False))

"""Sigma-zero: a smooth count of changed pixels, and a threshold that follows the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.adam import Adam
from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.minimal import TINY, Rule, Walk, annealed, clamped, walk, width
from attacks.norms import refuse, size, spread
from attacks.sides import Mask

SLOWEST = 0.1


@dataclass(frozen=True)
class SigmaZero(MinimalNorm):
    """Cina et al. 2024, algorithm 1: Adam on max(-lead, 0) + mean(d^2 / (d^2 + sigma)), d being the
    change of a pixel in units of the box, with the gradient over its largest entry; then into the
    box; then what changed by less than a threshold is put back. The threshold begins at
    `threshold`, grows by `pace` times the step where the goal is reached, and falls by it
    elsewhere.

    The step falls from `length` to a tenth along a cosine. An image leaves when one pixel does.

    steps: points an image, with a gradient at each but the last.
    """

    steps: int = 200
    length: float = 1.0
    sigma: float = 1e-3
    threshold: float = 0.3
    pace: float = 0.01
    norms: ClassVar[tuple[str, ...]] = ("l0",)

    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "sigma-zero")
        return walk(model, images, labels, targets, _Sparse(self, box), self.steps)


@dataclass(frozen=True)
class _Sparse(Rule):
    plan: SigmaZero
    box: Box
    who: str = "sigma-zero"
    norm: str = "l0"

    def begin(self, on: Walk) -> dict[str, Tensor]:
        return {"threshold": torch.full_like(on.far, self.plan.threshold), **ADAM.begin(on.images)}

    def move(self, on: Walk, progress: float) -> Images:
        unit, sigma = width(self.box), self.plan.sigma
        change = on.offset / unit
        square = change.square()
        slope = change.mul_(2 * sigma / on.images[0].numel()).div_(square.add_(sigma).square_())
        losing = spread(torch.where(on.lead < 0, unit, 0.0), slope)
        slope.addcmul_(on.slope, losing, value=-1)
        slope.div_(spread(size(slope, "linf").clamp_min(TINY), slope))
        length = annealed(self.plan.length, SLOWEST * self.plan.length, progress)
        way, _ = ADAM.take(on.memory, slope)
        moved = clamped(on.offset.sub_(way.mul_(length * unit)).add_(on.images), self.box)
        pace = self.plan.pace * length
        threshold = on.memory["threshold"] + torch.where(on.won, pace, -pace)
        on.memory["threshold"] = threshold.clamp_(0, 1)
        small = (moved - on.images).abs() < spread(threshold * unit, moved)
        return torch.where(small, on.images, moved)

    def over(self, on: Walk) -> Mask | None:
        return on.nearest <= 1


ADAM = Adam()

ATTACKS.register(
    "sigma-zero",
    paper="arXiv:2402.01879",
    summary="Few pixels: a smooth count of them, and a threshold that follows the boundary",
)(SigmaZero())

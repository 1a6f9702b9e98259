"""Decoupled direction and norm: along the gradient on a sphere that shrinks after a success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.minimal import TINY, Rule, Walk, annealed, clamped, farthest, walk, width
from attacks.norms import refuse, size, spread
from attacks.objectives import Logits
from attacks.sides import Sides, soft_pull

GROWTH, LAST = 1.3, 0.01


@dataclass(frozen=True)
class Ddn(MinimalNorm):
    """Rony et al. 2019, algorithm 1: a step along the gradient of cross-entropy, of a length that
    falls from 1 to .01 along a cosine, then onto the sphere of the present radius, then into the
    box. The radius begins at `start`, shrinks by `gamma` where the point reaches the goal, and
    grows by it elsewhere. Lengths are in units of the box.

    Deviations: the gradient is that of log((1 - p) / p), of the same direction, and is not lost
    where the model is sure; until the first success the radius grows by 30 %, so that large
    distances are come to; grey levels are not rounded.

    steps: points an image, with a gradient at each but the last.
    """

    steps: int = 100
    gamma: float = 0.05
    start: float = 1.0
    norms: ClassVar[tuple[str, ...]] = ("l2",)

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
        refuse(norm, self.norms, "ddn")
        rule = _Sphere(self.gamma, self.start, box)
        return walk(model, images, labels, targets, rule, self.steps)


@dataclass(frozen=True)
class _Sphere(Rule):
    gamma: float
    start: float
    box: Box
    who: str = "ddn"
    norm: str = "l2"

    def pull(self, sides: Sides) -> Logits:
        return soft_pull(sides)

    def begin(self, on: Walk) -> dict[str, Tensor]:
        radius = torch.full_like(on.far, self.start * width(self.box) / GROWTH)
        return {"radius": radius, "farthest": farthest(on.images, self.norm, self.box)}

    def move(self, on: Walk, progress: float) -> Images:
        length = annealed(1.0, LAST, progress) * width(self.box)
        way = climbed(on, length)
        wider = torch.where(on.nearest < torch.inf, 1 + self.gamma, GROWTH)
        radius = on.memory["radius"] * torch.where(on.won, 1 - self.gamma, wider)
        on.memory["radius"] = radius = torch.minimum(radius, on.memory["farthest"])
        scale = radius / size(way, self.norm).clamp_min(TINY)
        return clamped(torch.addcmul(on.images, way, spread(scale, way), out=way), self.box)


def climbed(on: Walk, length: float) -> Images:
    """The offsets, a Euclidean length further along the slope; where it is 0 they stay."""
    scale = length / size(on.slope, "l2").clamp_min(TINY)
    return on.offset.addcmul_(on.slope, spread(scale, on.slope))


ATTACKS.register(
    "ddn",
    paper="arXiv:1811.09600",
    summary="Direction and norm apart: a sphere that shrinks after each success",
)(Ddn())

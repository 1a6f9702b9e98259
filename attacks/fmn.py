"""Fast minimum norm: projected steps in a ball whose radius follows the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.ddn import climbed
from attacks.l1ball import within
from attacks.minimal import TINY, Rule, Walk, annealed, clamped, farthest, walk, width
from attacks.norms import PerImage, project, refuse, size
from attacks.sides import Mask

DUAL = {"linf": "l1", "l2": "l2", "l1": "linf"}
GROWTH, COUNTED = 1.2, 1.5
SHORTER, SLOWER = 0.01, 0.001


@dataclass(frozen=True)
class Fmn(MinimalNorm):
    """Pintor et al. 2021, algorithm 1: a step along the gradient of the lead, of a Euclidean length
    that falls from `length` (in units of the box) to a hundredth along a cosine, then into the
    ball of the present radius. The radius shrinks by `gamma`, which falls to .001, where the point
    reaches the goal, and grows by it elsewhere; until the first success it is where the boundary
    is to first order. In l0 it counts pixels, and moves by one at least.

    Deviations: until the first success the radius grows by the way to the boundary, and by a fifth
    at least (by half in l0), where the paper adds that way to the size that the box left of the
    last change, which may never be enough; in l1 the projection is the exact one into the ball
    within the box; in l0 the pixels that change are those that raise the lead most to first order,
    not those that change most; and `length` is 3, where the authors' code has 1.

    steps: points an image, with a gradient at each but the last.
    """

    steps: int = 100
    length: float = 3.0
    gamma: float = 0.05
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1", "l0")

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
        refuse(norm, self.norms, "fmn")
        rule = _Ball(norm, self.length, self.gamma, box)
        return walk(model, images, labels, targets, rule, self.steps)


@dataclass(frozen=True)
class _Ball(Rule):
    norm: str
    length: float
    gamma: float
    box: Box
    who: str = "fmn"

    def begin(self, on: Walk) -> dict[str, Tensor]:
        radius = torch.full_like(on.far, 1.0 if self.norm == "l0" else torch.inf)
        return {"radius": radius, "farthest": farthest(on.images, self.norm, self.box)}

    def move(self, on: Walk, progress: float) -> Images:
        length = annealed(self.length, SHORTER * self.length, progress) * width(self.box)
        gamma = annealed(self.gamma, SLOWER, progress)
        radius = _count(on, gamma) if self.norm == "l0" else self._radius(on, gamma)
        on.memory["radius"] = radius = torch.minimum(radius, on.memory["farthest"])
        way = climbed(on, length)
        if self.norm == "l1":
            return within(on.images, way, radius, self.box)
        inside = (
            _largest(way, on.slope, radius)
            if self.norm == "l0"
            else project(way, radius, self.norm)
        )
        return clamped(inside.add_(on.images), self.box)

    def _radius(self, on: Walk, gamma: float) -> PerImage:
        radius = on.memory["radius"]
        slope = size(on.slope, DUAL[self.norm]).clamp_min(TINY)
        farther = torch.where(radius < torch.inf, radius, 0.0) - on.lead / slope
        farther = torch.maximum(farther, radius.nan_to_num(0, 0) * GROWTH)
        missed = torch.where(on.nearest < torch.inf, radius * (1 + gamma), farther)
        return torch.where(on.won, torch.minimum(radius * (1 - gamma), on.nearest), missed)

    def over(self, on: Walk) -> Mask | None:
        return on.nearest <= 1 if self.norm == "l0" else None


def _count(on: Walk, gamma: float) -> PerImage:
    """How many pixels may differ next."""
    radius = on.memory["radius"]
    fewer = torch.minimum(radius - 1, (radius * (1 - gamma)).floor())
    growth = torch.where(on.nearest < torch.inf, 1 + gamma, COUNTED)
    more = torch.maximum(radius + 1, (radius * growth).floor())
    return torch.where(on.won, torch.minimum(fewer, on.nearest), more).clamp_min(1)


def _largest(way: Images, slope: Images, count: PerImage) -> Images:
    """The `count` changes of each that raise the lead most to first order, the others 0."""
    gains = (way * slope).flatten(1)
    most = min(int(count.max()), gains.shape[1])
    place = count.clamp_max(most).long()[:, None] - 1
    least = gains.topk(most, dim=1).values.gather(1, place)
    kept = (gains >= least) & (gains > 0)
    return torch.where(kept.reshape(way.shape), way, 0.0)


ATTACKS.register(
    "fmn",
    paper="arXiv:2102.12827",
    summary="Fast minimum norm: a ball whose radius follows the boundary",
)(Fmn())

"""The simple black-box attack: one direction of a basis at a time, kept where it helps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
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
from attacks.gradients import look
from attacks.norms import into_box, project, refuse, spread, unit
from attacks.pixels import as_planes
from attacks.radii import moving
from attacks.streams import uniform
from bench.core.errors import UsageError


@dataclass(frozen=True)
class Simba(FixedBudget):
    """Guo et al. 2019, algorithm 1; `queries` forwards an image, no gradient.

    Directions come in a random order of the image's own, and from the first again after the last:
    single values ("pixel"), or cosines ("dct", section 3.2) of the lowest `share` of the
    frequencies down and across each channel; a vector is one row. A step along one is tried, then
    against it; where the lead of the best wrong logit grows (the paper looks at the label's
    probability), it is kept, put back into the ball and the box. step: its size in the norm as a
    share of the radius; None for a fifth in l2 and for all of it in linf.
    """

    queries: int = 1000
    basis: Literal["pixel", "dct"] = "pixel"
    share: float = 0.5
    step: float | None = None
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"share: expected a share above 0 and up to 1, got {self.share}")
        if self.step is not None and self.step <= 0:
            raise UsageError(f"step: expected a share of the radius above 0, got {self.step}")

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
        refuse(norm, self.norms, "simba")

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            return self._search(model, x, goal, radii, drawn, norm, box, stop)

        return moving(attack, images, Goal(labels, targets), radius, seeds)

    def _search(
        self,
        model: Model,
        images: Images,
        goal: Goal,
        radii: Tensor,
        seeds: Seeds,
        norm: str,
        box: Box,
        stop: Stop,
    ) -> Images:
        _, channels, height, width = as_planes(images).shape
        basis = _Basis(self.basis, self.share, (channels, height, width))
        length = radii * (self.step or (1.0 if norm == "linf" else 0.2))
        best, leads = images.clone(), goal.lead(look(model, images))
        tried, sign = torch.zeros_like(goal.labels), torch.ones_like(radii)
        order = uniform(seeds, (basis.size,)).argsort(dim=1, stable=True)
        going = torch.arange(len(images), device=images.device)
        for _ in range(1, self.queries):
            if stop == "first_success":
                going = going[leads[going] <= 0]
            if not len(going):
                break
            ways = basis.directions(order[going, tried[going] % basis.size], norm, images)
            clean, limit = images[going], radii[going]
            moved = best[going] + spread(sign[going] * length[going], clean) * ways - clean
            points = into_box(clean + project(moved, limit, norm), box)
            found = goal[going].lead(look(model, points))
            better = found > leads[going]
            best[going[better]], leads[going[better]] = points[better], found[better]
            done = better | (sign[going] < 0)
            tried[going] += done.long()
            sign[going] = torch.where(done, 1.0, -1.0).to(sign)
        return best


@dataclass(frozen=True)
class _Basis:
    """Orthonormal directions of [channels, height, width], of single values or of cosines."""

    kind: str
    share: float
    shape: tuple[int, int, int]

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many there are for each axis."""
        channels, height, width = self.shape
        if self.kind == "pixel":
            return self.shape
        return channels, math.ceil(self.share * height), math.ceil(self.share * width)

    @property
    def size(self) -> int:
        return math.prod(self.counts)

    def directions(self, which: Int[Tensor, " some"], norm: str, like: Images) -> Images:
        """Some of them, at size 1 in the norm."""
        _, down, across = self.counts
        channel, row, column = which // (down * across), which // across % down, which % across
        channels, height, width = (torch.eye(side, dtype=torch.float64) for side in self.shape)
        if self.kind == "dct":
            height, width = _cosines(self.shape[1]), _cosines(self.shape[2])
        one, two, three = (
            table.to(like)[index]
            for table, index in ((channels, channel), (height, row), (width, column))
        )
        ways = one[:, :, None, None] * two[:, None, :, None] * three[:, None, None]
        return unit(ways, norm).reshape(-1, *like.shape[1:])


@cache
def _cosines(side: int) -> Float[Tensor, "side side"]:
    """The orthonormal cosine transform (its second kind), a row for each frequency."""
    steps = torch.arange(side, dtype=torch.float64)
    table = torch.cos(math.pi / side * (steps + 0.5) * steps[:, None])
    return table / torch.linalg.vector_norm(table, dim=1, keepdim=True)


ATTACKS.register(
    "simba",
    paper="arXiv:1905.07121",
    summary="One random pixel at a time, kept where the scores get worse, a black box",
    gradients=False,
    draws=True,
    aims=True,
)(Simba())

ATTACKS.register(
    "simba-dct",
    paper="arXiv:1905.07121",
    summary="One random low frequency at a time, a black box",
    gradients=False,
    draws=True,
    aims=True,
)(Simba(basis="dct"))

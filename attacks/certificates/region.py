"""What may become of an image: all within a radius and in the box, as bounds and dual norms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attacks.certificates.layers import Segment, Values, apply, pull, through, units
from attacks.contracts import Box, Images
from attacks.norms import PerImage, spread

Rows = Float[Tensor, "batch rows *image"]
"""Linear functions of an image, of each image's own."""

PerFunction = Float[Tensor, "batch rows"]
DUAL = {"linf": 1, "l2": 2, "l1": torch.inf}
"""The order of the norm that is dual."""
AT_ONCE = 2**21
"""Values of linear functions that are held at once."""


@dataclass(frozen=True, eq=False)
class Region:
    """Points within a ball, [batch, ...], and the box. In linf the two are one box, and what is
    said of it is exact; in l2 and l1 a bound is the better one of the ball's and of the box's
    around both.
    """

    centre: Images
    radius: PerImage
    norm: str
    box: Box

    def interval(self) -> tuple[Images, Images]:
        """The smallest and the largest value of each pixel."""
        far = spread(self.radius, self.centre)
        low, high = self.centre - far, self.centre + far
        return (low, high) if self.box is None else (low.clamp(*self.box), high.clamp(*self.box))

    def least(self, rows: Rows) -> PerFunction:
        """A lower bound of linear functions, exact in linf and, where there is no box, always."""
        low, high = (end.flatten(1)[:, None] for end in self.interval())
        flat = rows.flatten(2)
        boxed = (flat * torch.where(flat > 0, low, high)).sum(2)
        if self.norm == "linf":
            return boxed
        there = (flat * self.centre.flatten(1)[:, None]).sum(2)
        size = torch.linalg.vector_norm(flat, DUAL[self.norm], dim=2)
        return torch.maximum(boxed, there - self.radius[:, None] * size)

    def through(self, segment: Segment) -> tuple[Values, Values]:
        """Bounds of what affine maps make of the points."""
        low, high = through(segment, *self.interval())
        if self.norm == "linf":
            return low, high
        middle = apply(segment, self.centre)
        half = spread(self.radius, middle) * _sizes(segment, middle[0], DUAL[self.norm])
        return torch.maximum(low, middle - half), torch.minimum(high, middle + half)


def _sizes(segment: Segment, like: Tensor, order: float) -> Tensor:
    """The norm of each row of what affine maps are together."""
    if not segment:
        return torch.ones_like(like)
    numbers = torch.arange(like.numel(), device=like.device)
    values = max(math.prod(layer.inputs) for layer in segment)
    found = [
        torch.linalg.vector_norm(
            pull(segment, units(like.shape, some, like))[0].flatten(1), order, 1
        )
        for some in numbers.split(max(1, AT_ONCE // values))
    ]
    return torch.cat(found).reshape(like.shape)

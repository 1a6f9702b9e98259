"""Two images made one along a seam: cut, feathered, and band by band (Burt and Adelson 1983b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import avg_pool2d

from bench.core.errors import UsageError
from generative.pyramids.borders import padded
from generative.pyramids.contracts import BLENDS, BURT_BLEND, Blend
from generative.pyramids.laplacian import collapse, gaussian, laplacian, most_levels


@dataclass(frozen=True)
class Cut(Blend):
    """Each pixel of one image or the other, as the mask says."""

    def blend(self, one: Tensor, other: Tensor, mask: Tensor, levels: int) -> Tensor:
        return mixed(one, other, mask)


@dataclass(frozen=True)
class Feather(Blend):
    """A mean of both, with weights that change evenly over 2^levels pixels on either side."""

    reads = ("levels",)

    def blend(self, one: Tensor, other: Tensor, mask: Tensor, levels: int) -> Tensor:
        if levels < 0:
            raise UsageError(f"levels: expected 0 or more, got {levels}")
        if levels == 0:
            return mixed(one, other, mask)
        width = 2**levels
        for dim in (2, 3):
            mask = padded(mask, width, "repeat", dim)
        return mixed(one, other, avg_pool2d(mask, 2 * width + 1, stride=1))


@dataclass(frozen=True)
class Multiband(Blend):
    """Each band of a Laplacian pyramid mixed over a width of its own, by a Gaussian pyramid of the
    mask.
    """

    reads = ("levels",)

    def most(self, size: Sequence[int]) -> int:
        return most_levels(size)

    def blend(self, one: Tensor, other: Tensor, mask: Tensor, levels: int) -> Tensor:
        first, second = (laplacian(images, levels) for images in (one, other))
        smooth = gaussian(mask, levels)
        levelled = [mixed(*level) for level in zip(first, second, smooth, strict=True)]
        return collapse(levelled)


@dataclass(frozen=True)
class Unsplit(Blend):
    """The first image as it is: what a seam that can't be seen would score."""

    def blend(self, one: Tensor, other: Tensor, mask: Tensor, levels: int) -> Tensor:
        return one.clone()


def mixed(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """weight * one + (1 - weight) * other."""
    return other + weight * (one - other)


for _name, _part in (("cut", Cut()), ("feather", Feather())):
    BLENDS.register(_name)(_part)
BLENDS.register("multiband", paper=BURT_BLEND)(Multiband())
BLENDS.register("unsplit", truth=True)(Unsplit())

"""The mean of each 2 x 2 block, and each pixel four times over: a pyramid of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor
from torch.nn.functional import avg_pool2d

from bench.core.errors import UsageError
from generative.pyramids.contracts import PYRAMIDS, Asked, Pyramid

LEAST = 2
"""The shortest side that is halved."""


def halved(images: Tensor) -> Tensor:
    """Images [n, c, h, w] as the means of their 2 x 2 blocks: a side n becomes ceil(n / 2), the
    last block of an odd side is of what there is. Raises UsageError for a side of one pixel.
    """
    height, width = images.shape[2:]
    if min(height, width) < LEAST:
        raise UsageError(
            f"expected sides of at least {LEAST} pixels to halve, got {height} x {width}: ask for "
            "fewer levels"
        )
    return avg_pool2d(images, 2, ceil_mode=True)


def doubled(images: Tensor, size: Sequence[int]) -> Tensor:
    """Each pixel as a 2 x 2 block, cut to `size` = (h, w). Raises UsageError for a size that is not
    halved to theirs.
    """
    if [-(-side // 2) for side in size] != list(images.shape[2:]):
        raise UsageError(
            f"expected a size that is halved to {images.shape[2]} x {images.shape[3]}, got "
            f"{size[0]} x {size[1]}"
        )
    grown = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return grown[..., : size[0], : size[1]]


def halvings(size: Sequence[int], least: int = 1) -> int:
    """How often images of (h, w) pixels can be halved with `least` pixels a side left over."""
    side, count = min(size), 0
    while side >= LEAST and -(-side // 2) >= least:
        side, count = -(-side // 2), count + 1
    return count


@dataclass(frozen=True)
class Box(Pyramid):
    """What each level has beyond the means of its blocks, whose mean over every block is 0, and the
    coarsest level.
    """

    reads = ("levels",)

    def most(self, size: Sequence[int]) -> int:
        return halvings(size)

    def bands(self, images: Tensor, asked: Asked) -> list[list[Tensor]]:
        if not 0 <= asked.levels <= self.most(images.shape[2:]):
            raise UsageError(
                f"levels: expected 0 to {self.most(images.shape[2:])} for images of "
                f"{images.shape[2]} x {images.shape[3]} pixels, got {asked.levels}"
            )
        means = [images]
        for _ in range(asked.levels):
            means.append(halved(means[-1]))
        fine = [one - doubled(coarser, one.shape[2:]) for one, coarser in pairwise(means)]
        return [[level] for level in (*fine, means[-1])]

    def images(self, bands: Sequence[Sequence[Tensor]], asked: Asked) -> Tensor:
        (found,) = bands[-1]
        for (level,) in reversed(bands[:-1]):
            found = level + doubled(found, level.shape[2:])
        return found


PYRAMIDS.register("box", summary="Means of 2 x 2 blocks, and what each pixel has beyond them")(
    Box()
)

"""Gaussian and Laplacian pyramids (Burt and Adelson 1983), of images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.pyramids.borders import BORDERS, padded
from generative.pyramids.kernel import weights

LEAST = 3
"""The shortest side that is reduced: `extend` needs two pixels beside the last."""


@dataclass(frozen=True)
class Filtering:
    """a: the kernel's parameter. border: a rule of `BORDERS`."""

    a: float = 0.4
    border: str = BORDERS[0]


def reduce(images: Tensor, by: Filtering = Filtering()) -> Tensor:
    """Images [n, c, h, w] filtered, of which every second row and column is kept: a side n becomes
    ceil(n / 2). Raises UsageError for a side below 3, and for what is no batch of floats.
    """
    _check(images)
    if min(images.shape[2:]) < LEAST:
        raise UsageError(
            f"expected sides of at least {LEAST} pixels to reduce, got {_sides(images)}: ask for "
            "fewer levels"
        )
    for dim in (2, 3):
        images = _filtered(padded(images, 2, by.border, dim), weights(by.a), dim, 2)
    return images


def expand(images: Tensor, size: Sequence[int], by: Filtering = Filtering()) -> Tensor:
    """Images interpolated to twice their sides, `size` = (h, w) saying which of the two that reduce
    to theirs. Raises UsageError for a size that doesn't.

    The border rule continues the coarse grid, before zeros are inserted: continuing what has zeros
    in it would keep their places under reflect1 alone.
    """
    _check(images)
    for dim, side in zip((2, 3), size, strict=True):
        if -(-side // 2) != images.shape[dim]:
            raise UsageError(
                f"expected a size that reduces to {_sides(images)}, got {size[0]} x {size[1]}"
            )
        coarse = padded(images, 1, by.border, dim)
        shape = list(coarse.shape)
        shape[dim] = 2 * shape[dim]
        spaced = torch.zeros(shape, dtype=images.dtype, device=images.device)
        spaced.index_copy_(dim, torch.arange(0, shape[dim], 2, device=images.device), coarse)
        images = _filtered(spaced, 2 * weights(by.a), dim, 1).narrow(dim, 0, side)
    return images


def gaussian(images: Tensor, levels: int, by: Filtering = Filtering()) -> list[Tensor]:
    """The images, and each level reduced from the last: levels + 1 in all, the finest first.

    Raises UsageError for more levels than the sides allow.
    """
    _check(images)
    if not 0 <= levels <= most_levels(images.shape[2:]):
        raise UsageError(
            f"levels: expected 0 to {most_levels(images.shape[2:])} for images of "
            f"{_sides(images)} pixels, got {levels}"
        )
    found = [images]
    for _ in range(levels):
        found.append(reduce(found[-1], by))
    return found


def laplacian(images: Tensor, levels: int, by: Filtering = Filtering()) -> list[Tensor]:
    """Each level less what the next coarser one is expanded to, and the coarsest as it is."""
    smooth = gaussian(images, levels, by)
    fine = [one - expand(coarser, one.shape[2:], by) for one, coarser in pairwise(smooth)]
    return [*fine, smooth[-1]]


def collapse(levels: Sequence[Tensor], by: Filtering = Filtering()) -> Tensor:
    """The images of a Laplacian pyramid: exact whatever the kernel and the border are, as long as
    they are those that it was made with.
    """
    found = levels[-1]
    for one in reversed(levels[:-1]):
        found = one + expand(found, one.shape[2:], by)
    return found


def most_levels(size: Sequence[int]) -> int:
    """How often images of (h, w) pixels can be reduced."""
    side, count = min(size), 0
    while side >= LEAST:
        side, count = -(-side // 2), count + 1
    return count


def _filtered(images: Tensor, taps: Tensor, dim: int, stride: int) -> Tensor:
    """Convolved along one dimension, where the taps fit; the taps are symmetric."""
    n, c, h, w = images.shape
    at = dim - 2
    shape, steps = [1, 1, 1, 1], [1, 1]
    shape[dim], steps[at] = len(taps), stride
    flat, taps = images.reshape(n * c, 1, h, w), taps.to(images).reshape(shape)
    found = torch.conv2d(flat, taps, stride=steps)
    return found.reshape(n, c, *found.shape[2:])


def _check(images: Tensor) -> None:
    if images.ndim != 4 or not images.is_floating_point() or not images.numel():
        raise UsageError(
            "a pyramid expected floats [n, c, h, w], got "
            f"{str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
        )


def _sides(images: Tensor) -> str:
    return f"{images.shape[2]} x {images.shape[3]}"

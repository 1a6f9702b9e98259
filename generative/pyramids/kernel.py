"""Burt and Adelson's generating kernel, and what follows from it for every level.

Burt and Adelson 1983, "The Laplacian Pyramid as a Compact Image Code".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.core.errors import UsageError


def weights(a: float) -> Tensor:
    """The kernel (1/4 - a/2, 1/4, a, 1/4, 1/4 - a/2), float64 [5].

    It sums to 1, and so do twice its even and twice its odd taps. a = .4 is close to a Gaussian, .5
    a triangle, .6 has negative lobes. Raises UsageError for an `a` that is not finite.
    """
    if not math.isfinite(a):
        raise UsageError(f"`a`: expected a finite number, such as 0.4, got {a}")
    outer = 0.25 - a / 2
    return torch.tensor([outer, 0.25, a, 0.25, outer], dtype=torch.float64)


def equivalent(a: float, level: int) -> Tensor:
    """The kernel with which an image may be filtered at once to have its level, before every
    2^level-th pixel is kept: float64 [2^(level + 2) - 3], of sum 1.
    """
    found = torch.ones(1, dtype=torch.float64)
    for step in range(level):
        taps = torch.zeros(4 * 2**step + 1, dtype=torch.float64)
        taps[:: 2**step] = weights(a)
        found = _convolved(found, taps)
    return found


def variance(a: float, level: int) -> float:
    """Of the equivalent kernel as a distribution over pixels, in closed form."""
    return (0.5 + 8 * (0.25 - a / 2)) * (4**level - 1) / 3


def noise_gain(a: float, level: int) -> float:
    """The mean variance of a pixel of an image that white noise of variance 1 on `level` is
    expanded to.
    """
    return float(2**level * equivalent(a, level).square().sum()) ** 2


def open_loop_bound(a: float, levels: int, step: float) -> float:
    """About the squared error of an image of whose pyramid each level is rounded to multiples of
    `step`, all errors being white, uniform and independent; level 0 alone gives step^2 / 12.
    """
    return step**2 / 12 * (1 + sum(noise_gain(a, level) for level in range(1, levels + 1)))


def _convolved(one: Tensor, other: Tensor) -> Tensor:
    reach = len(other) - 1
    return torch.conv1d(one[None, None], other.flip(0)[None, None], padding=reach)[0, 0]

"""Maxima over windows: what comes out, and how far they stretch a difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from attacks.certificates.layers import Shape

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Maximum:
    """The largest value of each window. name, module: where it stands, and what it is; outputs: the
    shape of one example.
    """

    name: str
    module: nn.Module
    outputs: Shape
    kernel: Pair
    stride: Pair
    dilation: Pair

    @property
    def steepest(self) -> float:
        """The factor by which a difference can grow, in l2: the root of the number of windows that
        share a value, 1 where none overlap.

        A maximum moves by no more than the value that moves most; so the squares of what moves add
        up to each value's own, once for each of its windows.
        """
        return math.sqrt(math.prod(map(_shared, self.kernel, self.stride, self.dilation)))


def _shared(kernel: int, stride: int, dilation: int) -> int:
    """The most windows along one side that a value is in: its place j in a window is such that
    i - dilation j is a multiple of the stride.
    """
    return -(-kernel // (stride // math.gcd(stride, dilation)))

"""Activations: their values, and two straight lines that hold them between bounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from attacks.certificates.layers import Values

Bits = Bool[Tensor, "n *shape"]


@dataclass(frozen=True, eq=False)
class Lines:
    """low_slope z + low_bias <= a(z) <= high_slope z + high_bias between the bounds."""

    low_slope: Values
    low_bias: Values
    high_slope: Values
    high_bias: Values


class Activation(ABC):
    """A non-decreasing function of each value alone. steepest: its largest slope."""

    steepest: float

    @abstractmethod
    def value(self, z: Tensor) -> Tensor:
        """a(z)."""

    @abstractmethod
    def lines(self, low: Values, high: Values) -> Lines:
        """Two lines that hold the function where z is between bounds."""

    @abstractmethod
    def loose(self, low: Values, high: Values) -> Bits:
        """Where tighter bounds would give tighter lines."""

    @abstractmethod
    def free(self, low: Values, high: Values) -> Bits:
        """Where any slope of the lower line from 0 to 1 does, with a bias of 0."""


@dataclass(frozen=True)
class Relu(Activation):
    """max(z, 0): the upper line is the chord; the lower one goes through 0, with slope 1 where more
    of the interval is above 0 than below, else 0 (Zhang et al. 2018, section 3.3: CROWN-Ada).
    """

    steepest: float = 1.0

    def value(self, z: Tensor) -> Tensor:
        return z.clamp_min(0)

    def lines(self, low: Values, high: Values) -> Lines:
        above, loose = (low >= 0).to(low), self.loose(low, high)
        chord = high / torch.where(loose, high - low, 1.0)
        zero = torch.zeros_like(low)
        return Lines(
            torch.where(loose, (high > -low).to(low), above),
            zero,
            torch.where(loose, chord, above),
            torch.where(loose, -low * chord, zero),
        )

    def loose(self, low: Values, high: Values) -> Bits:
        return (low < 0) & (high > 0)

    def free(self, low: Values, high: Values) -> Bits:
        return self.loose(low, high)


@dataclass(frozen=True)
class Curved(Activation):
    """A smooth function whose slope grows first and falls then: between bounds it is nowhere less
    than at one of them, so that lines of the smaller slope through both ends hold the function
    (Singh et al. 2019, section 4.4).
    """

    function: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    steepest: float

    def value(self, z: Tensor) -> Tensor:
        return self.function(z)

    def lines(self, low: Values, high: Values) -> Lines:
        slope = torch.minimum(self.slope(low), self.slope(high))
        below, above = (self.function(end) - slope * end for end in (low, high))
        return Lines(slope, below, slope, above)

    def loose(self, low: Values, high: Values) -> Bits:
        return low < high

    def free(self, low: Values, high: Values) -> Bits:
        return torch.zeros_like(low, dtype=torch.bool)


def _sigmoid_slope(z: Tensor) -> Tensor:
    return torch.sigmoid(z) * torch.sigmoid(-z)


def _tanh_slope(z: Tensor) -> Tensor:
    return 1 - torch.tanh(z).square()


RELU = Relu()
SIGMOID = Curved(torch.sigmoid, _sigmoid_slope, steepest=0.25)
TANH = Curved(torch.tanh, _tanh_slope, steepest=1.0)

"""What a network is read into: affine maps that can be gone through in both directions.

Everything has a batch axis in front; a map knows the shape of one input and of one output.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

Shape = tuple[int, ...]

Values = Float[Tensor, "n *shape"]
"""Of a layer, for n images; or n linear functions of them."""

PerRow = Float[Tensor, " n"]
"""A number for each of n linear functions."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine(ABC):
    """x -> W x + b. inputs, outputs: the shapes of one example. bias: broadcasts to the latter."""

    inputs: Shape
    outputs: Shape
    bias: Tensor | None = None

    @abstractmethod
    def linear(self, x: Values) -> Values:
        """W x."""

    @abstractmethod
    def absolute(self, x: Values) -> Values:
        """|W| x: how far the output can move where each input moves by at most x."""

    @abstractmethod
    def back(self, rows: Values) -> Values:
        """Linear functions of the output as functions of the input: rows W."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Affine):
    """weight: [outputs, inputs]."""

    weight: Tensor

    def linear(self, x: Values) -> Values:
        return x @ self.weight.T

    def absolute(self, x: Values) -> Values:
        return x @ self.weight.abs().T

    def back(self, rows: Values) -> Values:
        return rows @ self.weight


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Affine):
    """weight: [channels out, channels in a group, h, w]; zeros beyond the border."""

    weight: Tensor
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def linear(self, x: Values) -> Values:
        return self._over(x, self.weight)

    def absolute(self, x: Values) -> Values:
        return self._over(x, self.weight.abs())

    def back(self, rows: Values) -> Values:
        how = (self.stride, self.padding, self._unseen(), self.groups, self.dilation)
        return conv_transpose2d(rows, self.weight, None, *how)

    def _over(self, x: Values, weight: Tensor) -> Values:
        return conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def _unseen(self) -> list[int]:
        """Rows and columns at the far ends that no stride reaches."""
        sides = zip(self.inputs[1:], self.weight.shape[2:], strict=True)
        how = zip(self.stride, self.padding, self.dilation, strict=True)
        return [
            (side + 2 * pad - (kernel - 1) * apart - 1) % by
            for (side, kernel), (by, pad, apart) in zip(sides, how, strict=True)
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class Scale(Affine):
    """A factor for each value, or each channel: what broadcasts."""

    weight: Tensor

    def linear(self, x: Values) -> Values:
        return x * self.weight

    def absolute(self, x: Values) -> Values:
        return x * self.weight.abs()

    def back(self, rows: Values) -> Values:
        return rows * self.weight


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Affine):
    """The same values in another shape."""

    def linear(self, x: Values) -> Values:
        return x.reshape(-1, *self.outputs)

    def absolute(self, x: Values) -> Values:
        return x.reshape(-1, *self.outputs)

    def back(self, rows: Values) -> Values:
        return rows.reshape(-1, *self.inputs)


Segment = Sequence[Affine]
"""Affine maps, one after another; none is the identity."""


def apply(segment: Segment, x: Values) -> Values:
    """What the maps make of x."""
    for layer in segment:
        x = layer.linear(x)
        x = x if layer.bias is None else x + layer.bias
    return x


def pull(segment: Segment, rows: Values) -> tuple[Values, PerRow]:
    """Linear functions of what comes out as functions of what goes in, and their constants."""
    constant = rows.new_zeros(len(rows))
    for layer in reversed(segment):
        if layer.bias is not None:
            constant = constant + (rows * layer.bias).flatten(1).sum(1)
        rows = layer.back(rows)
    return rows, constant


def through(segment: Segment, low: Values, high: Values) -> tuple[Values, Values]:
    """Bounds of what comes out where what goes in is between bounds."""
    for layer in segment:
        middle, half = layer.linear((low + high) / 2), layer.absolute((high - low) / 2)
        middle = middle if layer.bias is None else middle + layer.bias
        low, high = middle - half, middle + half
    return low, high


def units(shape: Shape, chosen: Tensor, like: Tensor) -> Values:
    """The linear functions that are one value of a layer each, [chosen, *shape]."""
    rows = like.new_zeros(len(chosen), math.prod(shape))
    rows[torch.arange(len(chosen), device=like.device), chosen] = 1
    return rows.reshape(-1, *shape)

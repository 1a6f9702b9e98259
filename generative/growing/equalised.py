"""Equalised learning rates (Karras et al. 2018, section 4.1): weights scaled as they are used."""

from __future__ import annotations

from math import sqrt

from torch import Tensor, nn
from torch.nn import functional

GAIN = sqrt(2)
"""He's gain of a layer before a rectifier."""


class EqualisedLinear(nn.Linear):
    """A linear layer whose weights are kept as draws of N(0, 1) and multiplied by gain /
    sqrt(inputs) as they are used: the first step of Adam is `lr` of their spread in every layer,
    whatever its width. rate: a layer that learns at this share of the rate (Karras et al. 2019,
    appendix C): what is kept is drawn 1 / rate as large. bias: where it starts.
    """

    def __init__(
        self, inputs: int, outputs: int, gain: float = GAIN, rate: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__(inputs, outputs)
        self.factor, self.rate = gain * rate / sqrt(inputs), rate
        nn.init.normal_(self.weight, std=1 / rate)
        nn.init.constant_(self.bias, bias / rate)

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.factor * self.weight, self.rate * self.bias)


class EqualisedConv(nn.Conv2d):
    """The same of a convolution with an odd kernel that keeps height and width; its inputs are
    those of one pixel, channels times kernel squared.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = GAIN) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.factor = gain / sqrt(inputs * kernel**2)
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.factor * self.weight, self.bias)

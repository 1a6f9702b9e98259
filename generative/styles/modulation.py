"""Modulated convolutions with demodulation (Karras et al. 2020, section 2.2)."""

from __future__ import annotations

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from generative.growing.equalised import EqualisedLinear
from generative.styles.mapping import Styles

EPSILON = 1e-8


def modulated(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c k k"],
    scales: Float[Tensor, "n c"],
    demodulates: bool = True,
) -> Float[Tensor, "n o h w"]:
    """A convolution with the weights s_i w_oik of each example (equation 1), over their norm for
    each output (equation 3) where it demodulates: outputs of inputs N(0, 1) then have a standard
    deviation of 1, whatever the scales. Computed by scaling inputs and then outputs, which is the
    same; one kernel serves the batch. Kernels are odd, height and width stay.
    """
    out = functional.conv2d(x * scales[:, :, None, None], weight, padding=weight.shape[2] // 2)
    if not demodulates:
        return out
    power = scales.square() @ weight.square().sum((2, 3)).T
    return out * (power + EPSILON).rsqrt()[:, :, None, None]


class ModulatedConv(nn.Module):
    """Such a convolution whose scales are an affine function of a style, 1 at first; its learning
    rate is equalised.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, width: int, demodulates: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.factor, self.demodulates = 1 / sqrt(inputs * kernel**2), demodulates
        self.scales = EqualisedLinear(width, inputs, gain=1.0, bias=1.0)

    def forward(self, x: Tensor, styles: Styles) -> Tensor:
        return modulated(x, self.factor * self.weight, self.scales(styles), self.demodulates)

"""Pixelwise feature normalisation (Karras et al. 2018, section 4.2)."""

from __future__ import annotations

from torch import Tensor, nn

EPSILON = 1e-8


class PixelNorm(nn.Module):
    """Each pixel's channels over their root mean square: [n, c, ...] to the same, with mean square
    1 whatever their scale. Nothing is learned.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()

"""The mapping network (Karras et al. 2019, section 2): codes to styles."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from generative.contracts import Codes
from generative.growing.equalised import EqualisedLinear
from generative.growing.pixelnorm import PixelNorm

RATE, SLOPE = 0.01, 0.2
Styles = Float[Tensor, "n width"]
"""What a code is mapped to."""


class Mapping(nn.Module):
    """Codes z [n, width] to styles w [n, width]: z over its root mean square, then dense layers
    with leaky ReLU of 0.2 that learn at a hundredth of the rate (appendix C).
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(PixelNorm())
        for _ in range(depth):
            self.layers.extend([EqualisedLinear(width, width, rate=RATE), nn.LeakyReLU(SLOPE)])

    def forward(self, z: Codes) -> Styles:
        return self.layers(z)

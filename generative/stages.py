"""The second stage of two: an image from a small one, and its caption once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from generative.networks import Affine, Shape
from generative.training import Bounds


@dataclass(frozen=True)
class StagePlan:
    """The small image is read and halved, the caption's numbers join it at every place, residual
    blocks look at both, and it is doubled twice, pixels repeated before each convolution (Zhang et
    al. 2017, section 3.4). Batch norm and ReLU behind every convolution but the last, then tanh.

    stage_width: channels at the small image's size, twice as many a halving further in. blocks: how
    many residual ones. Deviations: one halving for two, as images are 14 pixels and not 64; widths
    16 for 128; 2 blocks for 4.
    """

    stage_width: Annotated[int, Bounds(2, 4_096)] = 16
    blocks: Annotated[int, Bounds(0, 64)] = 2

    def build(self, small: Shape, shape: Shape, told: int) -> StageTwo:
        """Of images (channels, h, w) of both stages, and so many numbers of a caption."""
        return StageTwo(self, small, shape, told)


class StageTwo(nn.Module):
    """Small images [n, c, h, w] in [0, 1] and a caption's numbers [n, told] to images of the second
    shape in [0, 1].
    """

    def __init__(self, plan: StagePlan, small: Shape, shape: Shape, told: int) -> None:
        super().__init__()
        channels, width = shape[0], plan.stage_width
        deep, last = 2 * width, max(1, width // 2)
        self.read = nn.Sequential(
            Affine(2.0, -1.0),
            nn.Conv2d(channels, width, 3, 1, 1),
            nn.ReLU(),
            *_layer(width, deep, 2),
        )
        self.join = nn.Sequential(*_layer(deep + told, deep))
        self.blocks = nn.Sequential(*(Residual(deep) for _ in range(plan.blocks)))
        self.small, self.large = small[1:], shape[1:]
        self.first = nn.Sequential(*_layer(deep, width))
        self.second = nn.Sequential(*_layer(width, last))
        self.drawn = nn.Sequential(nn.Conv2d(last, channels, 3, 1, 1), nn.Tanh(), Affine(0.5, 0.5))

    def forward(
        self, images: Float[Tensor, "n c h w"], told: Float[Tensor, "n told"]
    ) -> Float[Tensor, "n c y x"]:
        seen = self.read(images)
        everywhere = told[:, :, None, None].expand(-1, -1, *seen.shape[2:])
        found = self.blocks(self.join(torch.cat([seen, everywhere], 1)))
        found = self.first(_doubled(found, self.small))
        return self.drawn(self.second(_doubled(found, self.large)))


class Residual(nn.Module):
    """What two layers add to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_layer(width, width), nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width)
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return torch.relu(x + self.body(x))


def _layer(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def _doubled(images: Tensor, size: Shape) -> Tensor:
    """To (h, w), each value repeated."""
    return interpolate(images, size=tuple(size), mode="nearest")

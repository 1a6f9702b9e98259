"""Networks from images to images as data, and the critics of patches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.networks import Affine, Shape

Norm = Literal["batch", "instance"]


class ImageNetwork(ABC):
    """The layers of a generator from images to images. Images are in [0, 1]."""

    @abstractmethod
    def build(self, first: Shape, second: Shape) -> nn.Module:
        """Images [n, *first] to [n, *second]. Raises UsageError for shapes it can't do."""


def _norm(kind: Norm, width: int) -> nn.Module:
    """With a scale and a shift for each channel where it is batch norm."""
    return nn.BatchNorm2d(width) if kind == "batch" else nn.InstanceNorm2d(width)


@dataclass(frozen=True)
class Unet(ImageNetwork):
    """The U-Net of pix2pix (Isola et al. 2017, appendix 6.1.1): strided 4 x 4 convolutions down to
    one pixel, transposed ones up again, and what was seen at each size on the way down beside.

    width: channels of the outermost layer; doubled at every layer further in, eight times as many
    at most. noise: how many of the innermost layers on the way up drop half of their channels'
    values, in use as in training: the model's only noise.
    """

    width: int = 64
    noise: int = 3
    norm: Norm = "batch"

    def build(self, first: Shape, second: Shape) -> nn.Module:
        depth = self._depth(first, second)
        widths = [self.width * min(8, 2**i) for i in range(depth)]
        return nn.Sequential(
            Affine(2.0, -1.0),
            self._level(0, widths, first[0], second[0]),
            nn.Tanh(),
            Affine(0.5, 0.5),
        )

    def _level(self, at: int, widths: list[int], inputs: int, outputs: int) -> nn.Module:
        """Down, all that is further in, and up again."""
        width, innermost, outermost = widths[at], at == len(widths) - 1, at == 0
        down: list[nn.Module] = [] if outermost else [nn.LeakyReLU(0.2)]
        bias = self.norm == "instance"
        down.append(nn.Conv2d(inputs, width, 4, 2, 1, bias=bias))
        if not outermost and not innermost:
            down.append(_norm(self.norm, width))
        inner = [] if innermost else [self._level(at + 1, widths, width, width)]
        up: list[nn.Module] = [nn.ReLU()]
        seen = width if innermost else 2 * width
        up.append(nn.ConvTranspose2d(seen, outputs, 4, 2, 1, bias=outermost or bias))
        if not outermost:
            up.append(_norm(self.norm, outputs))
            up += [Noise(0.5)] if len(widths) - at <= self.noise else []
        layers = nn.Sequential(*down, *inner, *up)
        return layers if outermost else Beside(layers)

    def _depth(self, first: Shape, second: Shape) -> int:
        side = first[-1] if len(first) == 3 else 0
        fits = len(first) == len(second) == 3 and first[1:] == second[1:] and first[1] == side
        if not fits or side < 8 or side & (side - 1):
            raise UsageError(
                "a U-Net needs images whose two sides are the same power of 2, 8 at least, got "
                f"{list(first)} to {list(second)}: bring them to another size, or choose another "
                "protocol"
            )
        return side.bit_length() - 1


class Beside(nn.Module):
    """What comes in, and what a network makes of it beside that."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.network(x)], 1)


class Noise(nn.Dropout):
    """Dropout that is a model's noise: on in use, too."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.dropout(input, self.p, training=True)


@dataclass(frozen=True)
class Resnet(ImageNetwork):
    """The generator of CycleGAN (Zhu et al. 2017, appendix 7.2, after Johnson et al. 2016):
    7 x 7, two strides down, residual blocks, two strides up, 7 x 7; reflection padding, instance
    norm. blocks: 6 for images of 128 pixels, 9 for 256. strides: how many there are down and up;
    the paper's 2 leave 64 x 64 of 256 pixels.
    """

    width: int = 64
    blocks: int = 9
    norm: Norm = "instance"
    strides: int = 2

    def build(self, first: Shape, second: Shape) -> nn.Module:
        self._refuse(first, second)
        width = self.width
        layers: list[nn.Module] = [Affine(2.0, -1.0), nn.ReflectionPad2d(3)]
        layers += self._normed(nn.Conv2d(first[0], width, 7), width)
        for _ in range(self.strides):
            layers += self._normed(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width)
            width *= 2
        layers += [Residual(width, self.norm) for _ in range(self.blocks)]
        for _ in range(self.strides):
            up = nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1)
            layers += self._normed(up, width // 2)
            width //= 2
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, second[0], 7), nn.Tanh()]
        return nn.Sequential(*layers, Affine(0.5, 0.5))

    def _normed(self, layer: nn.Module, width: int) -> list[nn.Module]:
        return [layer, _norm(self.norm, width), nn.ReLU()]

    def _refuse(self, first: Shape, second: Shape) -> None:
        fits = len(first) == len(second) == 3 and first[1:] == second[1:]
        multiple = 2**self.strides
        if not fits or min(first[1:]) < 8 or any(side % multiple for side in first[1:]):
            raise UsageError(
                "a residual generator needs images of one size, with sides that are multiples of "
                f"{multiple}, 8 at least, got {list(first)} to {list(second)}: bring them to "
                "another size"
            )


class Residual(nn.Module):
    """Two 3 x 3 convolutions, added to what came in."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            _norm(norm, width),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            _norm(norm, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


@dataclass(frozen=True)
class PatchGan:
    """A critic of patches (Isola et al. 2017, section 3.2.2): a logit for each of many overlapping
    squares of the image. layers: those of stride 2, each with twice the channels, eight times as
    many at most; the squares have a side of `receptive_field` pixels.
    """

    width: int = 64
    layers: int = 3
    norm: Norm = "batch"

    @property
    def receptive_field(self) -> int:
        """Pixels along the side of the square that one logit sees: 70 with three strides."""
        side = 1 + 3 + 3
        for _ in range(self.layers):
            side = 2 * side + 2
        return side

    def build(self, channels: int, shape: Shape) -> nn.Module:
        """Images [n, channels, h, w] to logits [n, patches]. Raises UsageError for images that
        leave no patch.
        """
        shortest = min(shape[1:]) // 2**self.layers - 2
        if shortest < 1:
            raise UsageError(
                f"a critic of patches of {self.receptive_field} pixels needs images of "
                f"{3 * 2**self.layers} pixels a side at least, got {list(shape)}: choose another "
                "protocol, or larger images"
            )
        layers: list[nn.Module] = [Affine(2.0, -1.0), nn.Conv2d(channels, self.width, 4, 2, 1)]
        layers.append(nn.LeakyReLU(0.2))
        width = self.width
        for at in range(1, self.layers + 1):
            wider = self.width * min(8, 2**at)
            stride = 2 if at < self.layers else 1
            bias = self.norm == "instance"
            layers.append(nn.Conv2d(width, wider, 4, stride, 1, bias=bias))
            layers += [_norm(self.norm, wider), nn.LeakyReLU(0.2)]
            width = wider
        return nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 1), nn.Flatten())

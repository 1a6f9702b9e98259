"""Super-resolution: coarse images and the fine ones that they are the means of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from bench.core.errors import UsageError
from generative.contracts import Data, Magnifier
from generative.networks import Affine, Shape
from generative.samplers import drawn_in_parts
from generative.training import Bounds

Images = Float[Tensor, "n c h w"]
Resized = Float[Tensor, "n c y x"]

GENERATOR = "generator"
USUAL = 4
CHUNK = 256


def refuse(shape: Shape, factor: int) -> None:
    """Raise UsageError for examples that are no blocks of `factor` x `factor` pixels."""
    if len(shape) != 3:
        raise UsageError(f"super-resolution is of images, got examples of shape {list(shape)}")
    height, width = shape[1:]
    if height % factor or width % factor:
        common = [n for n in range(2, min(height, width) + 1) if not (height % n or width % n)]
        fitting = ", ".join(map(str, common)) or "none but 1"
        raise UsageError(
            f"factor: images of {height} x {width} pixels are no blocks of {factor} x {factor}: "
            f"expected a divisor of both sides ({fitting}), or images of another size"
        )


def coarsened(images: Images, factor: int) -> Resized:
    """The mean of each block of `factor` x `factor` pixels: A. Sides are multiples of it."""
    return avg_pool2d(images, factor)


def repeated(coarse: Images, factor: int) -> Resized:
    """Each pixel as a block of `factor` x `factor` equal ones: the pseudo-inverse of A."""
    return interpolate(coarse, scale_factor=factor, mode="nearest")


def consistent(images: Images, coarse: Resized, factor: int) -> Images:
    """The nearest images whose blocks have the means `coarse`, y + A^+ (x - A y): the affine
    projection of Sonderby et al. 2017 (equation 8). They may leave [0, 1].
    """
    return images + repeated(coarse - coarsened(images, factor), factor)


def bicubic(coarse: Images, factor: int) -> Resized:
    """By cubic convolution (PyTorch's, a = -0.75), clipped to [0, 1]."""
    found = interpolate(coarse, scale_factor=factor, mode="bicubic", align_corners=False)
    return found.clamp(0, 1)


@dataclass(frozen=True)
class Upscaler:
    """The generator of SRGAN (Ledig et al. 2017, figure 4): residual blocks on the coarse grid,
    then a convolution and a pixel shuffle (Shi et al. 2016) for every prime factor of `factor`.

    affine: whether what comes out is projected onto the images that have the coarse one's means
    (Sonderby et al. 2017). Deviations: 24 channels for 64, 3 blocks for 16, kernels of 5 for 9; the
    last layer is a tanh, as images are in [0, 1].
    """

    factor: Annotated[int, Bounds(2, 64)] = USUAL
    upscaler_width: Annotated[int, Bounds(1, 4_096)] = 24
    upscaler_blocks: Annotated[int, Bounds(0, 256)] = 3
    affine: bool = False

    def build(self, shape: Shape) -> nn.Module:
        """Coarse images to fine ones of a shape, with PyTorch's initial weights. Raises UsageError
        for a shape that the factor does not divide.
        """
        refuse(shape, self.factor)
        width = self.upscaler_width
        first = [Affine(2.0, -1.0), nn.Conv2d(shape[0], width, 5, padding=2), nn.PReLU()]
        blocks: list[nn.Module] = [Block(width) for _ in range(self.upscaler_blocks)]
        blocks += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        last: list[nn.Module] = []
        for prime in primes(self.factor):
            last.append(nn.Conv2d(width, width * prime**2, 3, padding=1))
            last += [nn.PixelShuffle(prime), nn.PReLU()]
        last += [nn.Conv2d(width, shape[0], 5, padding=2), nn.Tanh(), Affine(0.5, 0.5)]
        made = nn.Sequential(*first, Skip(nn.Sequential(*blocks)), *last)
        return Projected(made, self.factor) if self.affine else made


def primes(number: int) -> list[int]:
    """Its prime factors, smallest first."""
    found, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found


class Skip(nn.Module):
    """What a network makes, added to what came in."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return x + self.network(x)


class Block(Skip):
    """Two convolutions with batch norm and a parametric ReLU between them, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.PReLU(),
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
            )
        )


class Projected(nn.Module):
    """A network whose images have the means that it was given."""

    def __init__(self, network: nn.Module, factor: int) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, coarse: Tensor) -> Tensor:
        return consistent(self.network(coarse).float(), coarse, self.factor)


class Magnifying(Magnifier):
    """A trained network, or another rule, from coarse images to fine ones, and the training images
    that samples are magnified from: a sample is one of them, drawn at random, made coarse first.
    """

    def __init__(self, network: nn.Module, factor: int, data: Data) -> None:
        self._network, self.factor, self._data = network.eval(), factor, data

    def magnify(self, coarse: Tensor) -> Tensor:
        with torch.inference_mode():
            return torch.cat([self._network(part) for part in coarse.split(CHUNK)]).clone()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return drawn_in_parts(n, self._data.shape, lambda size: self._drawn(size, rng))

    def _drawn(self, n: int, rng: torch.Generator) -> Tensor:
        known = self._data.training
        chosen = torch.randint(len(known), (n,), generator=rng, device=rng.device)
        coarse = coarsened(known[chosen.to(known.device)], self.factor)
        return self.magnify(coarse).clamp(0, 1)

    def tensors(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self._network.state_dict().items()}


class Interpolation(nn.Module):
    """A rule without weights."""

    def __init__(self, kind: str, factor: int) -> None:
        super().__init__()
        self.kind, self.factor = kind, factor

    def forward(self, coarse: Tensor) -> Tensor:
        return RULES[self.kind](coarse, self.factor)


RULES: Mapping[str, Callable[[Tensor, int], Tensor]] = {"nearest": repeated, "bicubic": bicubic}

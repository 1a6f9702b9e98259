"""Probabilities of images: pixels at a few levels, networks that know them, and their samples."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from generative.contracts import Images, MassSampler, PerExample
from generative.densities import Likely
from generative.networks import Shape
from generative.samplers import drawn_in_parts

KNOWN = (2, 16, 17)
"""Numbers of levels that are seen in images; 256 are taken for any other."""
ASKED = 1_024
"""Images whose probabilities are computed at once."""


def levels_of(images: Tensor) -> int:
    """The fewest levels that hold pixels in [0, 1], from black to white: 2, 16, 17 or 256. Seen in
    bytes, as images are kept.
    """
    seen = torch.bincount((images.flatten() * 255).round().long(), minlength=256) > 0
    for levels in KNOWN:
        held = torch.zeros_like(seen)
        held[(torch.arange(levels, device=seen.device) * 255 / (levels - 1)).round().long()] = True
        if not bool((seen & ~held).any()):
            return levels
    return 256


def steps_of(x: Tensor, levels: int) -> Tensor:
    """Which level each pixel in [0, 1] has, the nearest, counted from 0."""
    return (x * (levels - 1)).round()


class PixelNetwork(Likely):
    """A network that knows the probability of an image, each pixel at one of `levels`."""

    levels: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.register_buffer("levels", torch.tensor(256))

    @property
    @abstractmethod
    def passes(self) -> int:
        """Of the network, one after another, for a sample."""

    @abstractmethod
    def log_mass(self, x: Images, rng: torch.Generator, draws: int) -> PerExample:
        """As `MassSampler.log_mass` has it, in the precision of the network."""

    @abstractmethod
    def draw(self, n: int, rng: torch.Generator) -> Images:
        """`n` images, each pixel at one of the levels."""

    @final
    def fitted(self) -> PixelSampler:
        return PixelSampler(self)


@final
class PixelSampler(MassSampler):
    """The model of such a network."""

    def __init__(self, network: PixelNetwork) -> None:
        self._network, self.passes = network, network.passes

    def sample(self, n: int, rng: torch.Generator) -> Images:
        network = self._network
        with torch.no_grad():
            return drawn_in_parts(n, network.shape, lambda size: network.draw(size, rng))

    def log_mass(self, x: Images, rng: torch.Generator, draws: int = 1) -> PerExample:
        exact = copy.deepcopy(self._network).double()
        with torch.no_grad():
            parts = [exact.log_mass(part.double(), rng, draws) for part in x.split(ASKED)]
        return torch.cat(parts)

    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._network.state_dict().items()}

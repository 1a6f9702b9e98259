"""A model that draws images coarse to fine: each level adds what the coarser one lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.contracts import Codes, Contested, Logits
from generative.networks import Shape
from generative.protocols.base import Protocol
from generative.pyramids.box import doubled, halved
from generative.samplers import drawn_in_parts, load_weights

Images = Float[Tensor, "n c h w"]
Resized = Float[Tensor, "n c y x"]
Residual = Callable[[int, Tensor], Tensor]
"""A level, counted from 0 for the coarsest, and images of the one before it, to what the level adds
to them.
"""
SHOWN = 4
"""Images in a row of a sheet."""
GENERATOR, CRITIC = "generator", "critic"


@dataclass(frozen=True)
class Level:
    """The shape of its images (channels, h, w), and how its players are trained."""

    shape: Shape
    protocol: Protocol


def brought(images: Images, times: int) -> Resized:
    """Images halved so many times."""
    for _ in range(times):
        images = halved(images)
    return images


def climbed(levels: Sequence[Level], images: Images, at: int, residual: Residual) -> list[Tensor]:
    """Images of a level and of every finer one, coarsest first, as they are: not clipped."""
    found = [images]
    for level in range(at + 1, len(levels)):
        found.append(doubled(found[-1], levels[level].shape[1:]) + residual(level, found[-1]))
    return found


def residuals(levels: Sequence[Level], images: Images) -> list[Tensor]:
    """What each level adds in true images of the finest, in order; of the coarsest the whole."""
    means = [images]
    for _ in levels[1:]:
        means.insert(0, halved(means[0]))
    fine = [one - doubled(coarse, one.shape[2:]) for coarse, one in pairwise(means)]
    return [means[0], *fine]


class CoarseToFine(Contested):
    """Its codes are those of every level, one after another. What is drawn is clipped to [0, 1] in
    the end, and not between levels. Levels that are not trained yet add nothing; the critic is that
    of the finest that is, and sees images at its size.
    """

    def __init__(
        self, levels: Sequence[Level], players: Sequence[tuple[nn.Module, nn.Module]]
    ) -> None:
        self.levels = tuple(levels)
        self._players = [(generator.eval(), critic.eval()) for generator, critic in players]
        self.prior = self.levels[0].protocol.prior

    @property
    def trained(self) -> int:
        """How many levels are, from the coarsest on."""
        return len(self._players)

    def finer(self, generator: nn.Module, critic: nn.Module) -> CoarseToFine:
        """With the next level trained."""
        return CoarseToFine(self.levels, [*self._players, (generator, critic)])

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return torch.cat([level.protocol.codes(n, rng) for level in self.levels], 1)

    def parts(self, z: Codes) -> tuple[Tensor, ...]:
        """The codes of each level."""
        return z.split([level.protocol.latent for level in self.levels], 1)

    def coarsest(self, z: Codes) -> Images:
        """Images of the coarsest level of its codes."""
        return self._players[0][0](z)

    def residual(self, level: int, images: Images, z: Codes) -> Resized:
        """What a level, 1 or more, adds to images of the one before, by its codes."""
        if level < self.trained:
            return self._players[level][0](images, z)
        return images.new_zeros(len(images), *self.levels[level].shape)

    def way(self, z: Codes) -> list[Tensor]:
        """Images of every level, coarsest first, not clipped. With a graph where codes have one."""
        with torch.set_grad_enabled(z.requires_grad):
            own = self.parts(z)
            first = self.coarsest(own[0])
            return climbed(self.levels, first, 0, lambda at, x: self.residual(at, x, own[at]))

    def decode(self, z: Codes) -> Images:
        return self.way(z)[-1].clamp(0, 1)

    def sample(self, n: int, rng: torch.Generator) -> Images:
        shape = self.levels[-1].shape
        return drawn_in_parts(n, shape, lambda size: self.decode(self.codes(size, rng)))

    def logits(self, x: Tensor) -> Logits:
        with torch.set_grad_enabled(x.requires_grad):
            return self._players[-1][1](brought(x, len(self.levels) - self.trained))

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"{at}.{role}.{name}": value.detach()
            for at, players in enumerate(self._players)
            for role, network in zip((GENERATOR, CRITIC), players, strict=True)
            for name, value in network.state_dict().items()
        }


def at_level(model: CoarseToFine, n: int, rng: torch.Generator, level: int) -> tuple[Tensor, int]:
    """What about `n` images in [0, 1] show of a level, and how many make a row: the images of the
    coarsest; of a finer one in threes the coarse image, the residual about grey, and their sum.
    """
    if level == 0:
        return model.way(model.codes(n, rng))[0].clamp(0, 1), 0
    coarse, fine = model.way(model.codes(max(1, n // 3), rng))[level - 1 : level + 1]
    known = doubled(coarse, fine.shape[2:])
    threes = torch.stack([known, (fine - known + 1) / 2, fine], 1).clamp(0, 1)
    return threes.flatten(0, 1), 3 * SHOWN


def load_level(
    tensors: Mapping[str, Tensor], at: int, generator: nn.Module, critic: nn.Module
) -> None:
    """Load the weights of one level of what `CoarseToFine.tensors` gave. Raises UsageError where
    they are of another architecture.
    """
    for role, network in ((GENERATOR, generator), (CRITIC, critic)):
        own = dict(_own(tensors, f"{at}.{role}."))
        load_weights(network, own, f"{role} of level {at}")


def _own(tensors: Mapping[str, Tensor], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in tensors.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), value

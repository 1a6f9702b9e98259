"""Differentiable augmentation (DiffAug, Zhao et al. 2020): the critic sees changed images only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generative.contracts import RECIPES
from generative.networks import Shape
from generative.parts import VIEWS, View
from generative.recipes.adversarial import Adversarial
from generative.training import SHARE

SHIFT, HOLE = 1 / 8, 1 / 2


@dataclass(frozen=True)
class Augmentation(View):
    """Colour, translation and cutout of reals and fakes, in the steps of both players: brightness
    by up to a quarter of the range, saturation by 0 to 2, contrast by 0.5 to 1.5, moved by up to an
    eighth of a side, a hole of half a side. What is moved in and the hole are mid-grey, as in the
    authors' code, whose images are in [-1, 1]. augmentation: how far each goes, 1 as there; with 0
    images stay as they are.
    """

    augmentation: Annotated[float, SHARE] = 1.0

    def together(self) -> int:
        return 1

    def shape(self, shape: Shape) -> Shape:
        return shape

    def __call__(self, x: Tensor, rng: torch.Generator, progress: float) -> Tensor:
        if not self.augmentation:
            return x
        return self._cut(self._moved(self._coloured(x - 0.5, rng), rng), rng) + 0.5

    def _coloured(self, x: Tensor, rng: torch.Generator) -> Tensor:
        far = self.augmentation
        brightness, saturation, contrast = (2 * far * (self._draw(x, rng) - 0.5) for _ in range(3))
        x = x + brightness / 4
        grey = x.mean(1, keepdim=True)
        x = grey + (1 + saturation) * (x - grey)
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean + (1 + contrast / 2) * (x - mean)

    def _moved(self, x: Tensor, rng: torch.Generator) -> Tensor:
        for axis in (2, 3):
            most = int(x.shape[axis] * SHIFT * self.augmentation + 0.5)
            by = (self._draw(x, rng) * (2 * most + 1)).long() - most
            places = torch.arange(x.shape[axis], device=x.device).view(-1, *[1] * (3 - axis)) - by
            inside = (places >= 0) & (places < x.shape[axis])
            shown = places.clamp(0, x.shape[axis] - 1).expand(x.shape)
            x = x.gather(axis, shown) * inside
        return x

    def _cut(self, x: Tensor, rng: torch.Generator) -> Tensor:
        inside = torch.ones_like(x[:, :1], dtype=torch.bool)
        for axis in (2, 3):
            side, hole = x.shape[axis], int(x.shape[axis] * HOLE * self.augmentation + 0.5)
            middle = (self._draw(x, rng) * (side + 1 - hole % 2)).long()
            places = torch.arange(side, device=x.device).view(-1, *[1] * (3 - axis))
            low = middle - hole // 2
            inside = inside & (places >= low) & (places < low + hole)
        return x * ~inside

    def _draw(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device)


_IMAGES = "it moves pixels and changes colours"
VIEWS.register(
    "augmentation",
    paper="arXiv:2006.10738",
    summary="Colour, translation and cutout (DiffAug)",
    images_only=_IMAGES,
)(Augmentation())

RECIPES.register(
    "diffaug-gan",
    paper="arXiv:2006.10738",
    summary="Non-saturating GAN with differentiable augmentation (Zhao et al. 2020)",
    parts=("nonsaturating", "augmentation"),
    images_only=_IMAGES,
)(Adversarial("nonsaturating", view="augmentation"))

"""Packing (PacGAN, Lin et al. 2018): the critic judges several examples at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generative.contracts import RECIPES
from generative.networks import Shape
from generative.parts import VIEWS, View
from generative.recipes.adversarial import Adversarial
from generative.training import Bounds


@dataclass(frozen=True)
class Packing(View):
    """`group` examples side by side: coordinates of points, channels of images (section 3). Only
    the critic's first layer grows. A batch counts packs, so that a step sees `group` times as many
    reals and fakes, as in the authors' code. A pack of one is the example itself.
    """

    group: Annotated[int, Bounds(1, 64)] = 2

    def together(self) -> int:
        return self.group

    def shape(self, shape: Shape) -> Shape:
        return (shape[0] * self.group, *shape[1:])

    def __call__(self, x: Tensor, rng: torch.Generator, progress: float) -> Tensor:
        return x.unflatten(0, (-1, self.group)).flatten(1, 2)


VIEWS.register(
    "packing", paper="arXiv:1712.04086", summary="Several examples side by side (PacGAN)"
)(Packing())

for _group in (2, 3, 4):
    RECIPES.register(
        f"pacgan{_group}",
        paper="arXiv:1712.04086",
        summary=f"Non-saturating GAN, {_group} examples packed, {_group} times as many a step "
        "(Lin et al. 2018)",
        parts=("nonsaturating", "packing"),
    )(Adversarial("nonsaturating", view="packing", own_settings={"group": _group}))

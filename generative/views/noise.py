"""Instance noise (Sonderby et al. 2017, section 4): the critic sees blurred distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generative.contracts import RECIPES
from generative.networks import Shape
from generative.parts import VIEWS, View
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT


@dataclass(frozen=True)
class InstanceNoise(View):
    """Gaussian noise on reals and fakes, whose standard deviation falls in a straight line from
    `instance_noise`, in the data's units, to 0 at the end of the training. The paper gives no
    numbers for it.
    """

    instance_noise: Annotated[float, WEIGHT] = 0.1

    def together(self) -> int:
        return 1

    def shape(self, shape: Shape) -> Shape:
        return shape

    def __call__(self, x: Tensor, rng: torch.Generator, progress: float) -> Tensor:
        width = self.instance_noise * max(0.0, 1 - progress)
        if not width:
            return x
        return x + width * torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)


VIEWS.register("instance-noise", paper="arXiv:1610.04490", summary="Gaussian noise that fades out")(
    InstanceNoise()
)

RECIPES.register(
    "instance-noise-gan",
    paper="arXiv:1610.04490",
    summary="Non-saturating GAN whose critic sees noisy examples (Sonderby et al. 2017)",
    parts=("nonsaturating", "instance-noise"),
)(Adversarial("nonsaturating", view="instance-noise"))

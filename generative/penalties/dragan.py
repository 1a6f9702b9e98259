"""The penalty of DRAGAN (Kodali et al. 2017, equation 1): slopes around the data."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import PENALTIES, RECIPES, Critic, Penalty
from generative.penalties.slopes import slopes, uniform
from generative.recipes.adversarial import Adversarial

REACH = 0.5


class Dragan(Penalty):
    """(|grad C(x)| - 1)^2 near the reals: between a real and the same plus uniform noise as wide
    as half the standard deviation of the batch, as in the authors' code (the paper's equation
    has Gaussian noise). The standard deviation mixes the batch. The weight is 10 in that code, of
    images alone; 0.1 on points is of our pilot (docs/pilot.md).
    """

    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator
    ) -> Float[Tensor, " batch"]:
        noise = torch.rand(real.shape, generator=rng, device=real.device, dtype=real.dtype)
        near = real + uniform(real, rng) * REACH * real.std() * noise
        return (slopes(critic, near) - 1) ** 2


PENALTIES.register(
    "dragan",
    paper="arXiv:1705.07215",
    summary="The critic's slope is 1 around the data (DRAGAN)",
    weight=10.0,
    batchwise=True,
)(Dragan())

RECIPES.register(
    "dragan",
    paper="arXiv:1705.07215",
    summary="Non-saturating GAN with the penalty of Kodali et al. 2017",
    parts=("nonsaturating", "dragan"),
)(Adversarial("nonsaturating", penalty="dragan", on_points={"penalty_weight": 0.1}))

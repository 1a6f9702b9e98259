"""The gradient penalty of WGAN-GP (Gulrajani et al. 2017, equation 3)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import PENALTIES, RECIPES, Critic, Penalty
from generative.penalties.slopes import slopes, uniform
from generative.recipes.adversarial import Adversarial


class GradientPenalty(Penalty):
    """(|grad C(x)| - 1)^2 at a point between a real and a fake, uniform on the segment. Its weight
    is 10 in the paper, for images, and 0.1 in the authors' code for points (gan_toy.py).
    """

    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator
    ) -> Float[Tensor, " batch"]:
        between = real + uniform(real, rng) * (fake - real)
        return (slopes(critic, between) - 1) ** 2


PENALTIES.register(
    "gradient-penalty",
    paper="arXiv:1704.00028",
    summary="The critic's slope is 1 between real and fake (WGAN-GP)",
    weight=10.0,
)(GradientPenalty())

RECIPES.register(
    "wgan-gp",
    paper="arXiv:1704.00028",
    summary="Wasserstein GAN with gradient penalty, 5 critic steps (Gulrajani et al. 2017)",
    parts=("wasserstein", "gradient-penalty"),
)(
    Adversarial(
        "wasserstein",
        penalty="gradient-penalty",
        critic_steps=5,
        momentum=0.0,
        on_points={"penalty_weight": 0.1},
    )
)

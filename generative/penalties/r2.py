"""The R2 penalty (Mescheder et al. 2018, equation 10), and R3GAN, which needs it beside R1."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import PENALTIES, RECIPES, Critic, Penalty
from generative.penalties.slopes import squared_slopes
from generative.recipes.adversarial import Adversarial


class R2(Penalty):
    """|grad C(G(z))|^2 / 2 at the fakes: a flat critic where the generator is."""

    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator
    ) -> Float[Tensor, " batch"]:
        return squared_slopes(critic, fake) / 2


PENALTIES.register(
    "r2",
    paper="arXiv:1801.04406",
    summary="The critic is flat at the fakes: its weight times half the squared slope (R2)",
    weight=10.0,
)(R2())

RECIPES.register(
    "r2gan",
    paper="arXiv:1801.04406",
    summary="Non-saturating GAN with the R2 penalty (Mescheder et al. 2018)",
    parts=("nonsaturating", "r2"),
)(Adversarial("nonsaturating", penalty="r2"))

RECIPES.register(
    "r3gan",
    paper="arXiv:2501.05441",
    summary="R3GAN: relativistic over pairs with R1 and R2 at every step (Huang et al. 2024)",
    parts=("relativistic", "r1", "r2"),
)(Adversarial("relativistic", penalty=("r1", "r2")))

"""The R1 penalty (Mescheder et al. 2018, equation 9)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import PENALTIES, RECIPES, Critic, Penalty
from generative.penalties.slopes import squared_slopes
from generative.recipes.adversarial import Adversarial


class R1(Penalty):
    """|grad C(x)|^2 / 2 at the reals: a flat critic where the data are. With the half its weight is
    the paper's gamma; the authors' code leaves it out, so that the same weight counts double there.
    """

    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator
    ) -> Float[Tensor, " batch"]:
        return squared_slopes(critic, real) / 2


PENALTIES.register(
    "r1",
    paper="arXiv:1801.04406",
    summary="The critic is flat at the data: its weight times half the squared slope (R1)",
    weight=10.0,
)(R1())

RECIPES.register(
    "r1gan",
    paper="arXiv:1801.04406",
    summary="Non-saturating GAN with the R1 penalty (Mescheder et al. 2018)",
    parts=("nonsaturating", "r1"),
)(Adversarial("nonsaturating", penalty="r1"))

"""The squared Hellinger distance as an f-GAN (Nowozin et al. 2016)."""

import torch

from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import EXPONENTIAL, FGan
from generative.recipes.adversarial import Adversarial


@LOSSES.register("fgan-hellinger", paper="arXiv:1606.00709", finite_to=EXPONENTIAL)
class Hellinger(FGan):
    """e^-C(x) + e^C(G(z)) - 2: sum (sqrt p - sqrt q)^2, by the critic 1/2 log p/q."""

    def output(self, logits: Logits) -> Logits:
        return -torch.expm1(-logits)

    def conjugate(self, logits: Logits) -> Logits:
        return torch.expm1(logits)


RECIPES.register(
    "fgan-hellinger",
    paper="arXiv:1606.00709",
    summary="f-GAN, squared Hellinger distance (Nowozin et al. 2016)",
    parts=("fgan-hellinger",),
)(Adversarial("fgan-hellinger"))

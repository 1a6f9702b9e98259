"""Neyman's chi-square as an f-GAN (Nowozin et al. 2016)."""

from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import EXPONENTIAL, FGan
from generative.recipes.adversarial import Adversarial


@LOSSES.register("fgan-neyman", paper="arXiv:1606.00709", finite_to=EXPONENTIAL)
class Neyman(FGan):
    """e^-C(x) - 2 e^(-C(G(z)) / 2) + 1: sum (p - q)^2 / p, by the critic 2 log p/q."""

    def output(self, logits: Logits) -> Logits:
        return 1 - (-logits).exp()

    def conjugate(self, logits: Logits) -> Logits:
        return 2 - 2 * (-logits / 2).exp()


RECIPES.register(
    "fgan-neyman",
    paper="arXiv:1606.00709",
    summary="f-GAN, Neyman's chi-square (Nowozin et al. 2016)",
    parts=("fgan-neyman",),
)(Adversarial("fgan-neyman"))

"""Least squares of Mao et al. 2017, in the -1/1/0 coding of its equation 8."""

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("least-squares-pearson", paper="arXiv:1611.04076", between=(-1.0, 0.0))
class Pearson(Loss):
    """(C(x) - 1)^2 + (C(G(z)) + 1)^2 against C(G(z))^2: Pearson chi-square between p + q and 2q."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return (real - 1) ** 2 + (fake + 1) ** 2

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return fake**2


RECIPES.register(
    "lsgan-pearson",
    paper="arXiv:1611.04076",
    summary="Least-squares GAN, targets -1, 1 and 0 (Mao et al. 2017)",
    parts=("least-squares-pearson",),
)(Adversarial("least-squares-pearson"))

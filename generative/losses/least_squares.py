"""Least squares of Mao et al. 2017, in the 0/1 coding of its equation 9."""

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("least-squares", paper="arXiv:1611.04076")
class LeastSquares(Loss):
    """(C(x) - 1)^2 + C(G(z))^2 against (C(G(z)) - 1)^2: at the optimum sum pq / (p + q)."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return (real - 1) ** 2 + fake**2

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return (fake - 1) ** 2


RECIPES.register(
    "lsgan",
    paper="arXiv:1611.04076",
    summary="Least-squares GAN, targets 0 and 1 (Mao et al. 2017)",
    parts=("least-squares",),
)(Adversarial("least-squares"))

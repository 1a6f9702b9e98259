"""Pearson's chi-square as an f-GAN (Nowozin et al. 2016)."""

from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import FGan
from generative.recipes.adversarial import Adversarial


@LOSSES.register("fgan-pearson", paper="arXiv:1606.00709", between=(-2.0, 2.0))
class Pearson(FGan):
    """-C(x) + C(G(z))^2 / 4 + C(G(z)): sum (p - q)^2 / q, by the critic 2 (p/q - 1).

    Below -2, where no ratio is, the critic pulls fakes up; the paper's f* does, too.
    """

    def output(self, logits: Logits) -> Logits:
        return logits

    def conjugate(self, logits: Logits) -> Logits:
        return logits**2 / 4 + logits


RECIPES.register(
    "fgan-pearson",
    paper="arXiv:1606.00709",
    summary="f-GAN, Pearson's chi-square (Nowozin et al. 2016)",
    parts=("fgan-pearson",),
)(Adversarial("fgan-pearson"))

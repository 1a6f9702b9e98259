"""The Kullback-Leibler divergence KL(P || Q) as an f-GAN (Nowozin et al. 2016)."""

from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import EXPONENTIAL, FGan
from generative.recipes.adversarial import Adversarial


@LOSSES.register("fgan-kl", paper="arXiv:1606.00709", finite_to=EXPONENTIAL)
class KL(FGan):
    """-C(x) + e^(C(G(z)) - 1): KL(P || Q) = sum p log p/q, by the critic 1 + log p/q."""

    def output(self, logits: Logits) -> Logits:
        return logits

    def conjugate(self, logits: Logits) -> Logits:
        return (logits - 1).exp()


RECIPES.register(
    "fgan-kl",
    paper="arXiv:1606.00709",
    summary="f-GAN, KL(P || Q) (Nowozin et al. 2016)",
    parts=("fgan-kl",),
)(Adversarial("fgan-kl"))

"""The reverse Kullback-Leibler divergence KL(Q || P) as an f-GAN (Nowozin et al. 2016)."""

from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import EXPONENTIAL, FGan
from generative.recipes.adversarial import Adversarial


@LOSSES.register("fgan-reverse-kl", paper="arXiv:1606.00709", finite_to=EXPONENTIAL)
class ReverseKL(FGan):
    """e^-C(x) + C(G(z)) - 1: KL(Q || P) = sum q log q/p, by the critic log p/q."""

    def output(self, logits: Logits) -> Logits:
        return -(-logits).exp()

    def conjugate(self, logits: Logits) -> Logits:
        return logits - 1


RECIPES.register(
    "fgan-reverse-kl",
    paper="arXiv:1606.00709",
    summary="f-GAN, KL(Q || P) (Nowozin et al. 2016)",
    parts=("fgan-reverse-kl",),
)(Adversarial("fgan-reverse-kl"))

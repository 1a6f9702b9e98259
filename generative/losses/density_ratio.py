"""The density-ratio loss of Uehara et al. 2016, in its Pearson form: the critic is p / q itself."""

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("density-ratio", paper="arXiv:1610.02920")
class DensityRatio(Loss):
    """C(G(z))^2 / 2 - C(x) against (C(G(z)) - 1)^2 / 2: least squares, best where C = p/q.

    The critic minimises the Bregman divergence of f(r) = (r - 1)^2 / 2 from the ratio, up to a
    constant; the generator E_Q[f(C)], at the best critic half of Pearson's chi-square: it pulls
    fakes to C = 1, from above, too. Deviation: nothing keeps the critic's output above 0, where
    the ratio lies.
    """

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return fake**2 / 2 - real

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return (fake - 1) ** 2 / 2


RECIPES.register(
    "b-gan",
    paper="arXiv:1610.02920",
    summary="b-GAN, by density ratios; not bgan (Uehara et al. 2016)",
    parts=("density-ratio",),
)(Adversarial("density-ratio"))

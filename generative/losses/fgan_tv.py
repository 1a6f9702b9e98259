"""Total variation as an f-GAN (Nowozin et al. 2016)."""

from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import FGan
from generative.recipes.adversarial import Adversarial


@LOSSES.register("fgan-tv", paper="arXiv:1606.00709")
class TotalVariation(FGan):
    """(tanh C(G(z)) - tanh C(x)) / 2: TV = sum |p - q| / 2, by logits to +-infinity with p - q."""

    def output(self, logits: Logits) -> Logits:
        return logits.tanh() / 2

    def conjugate(self, logits: Logits) -> Logits:
        return logits.tanh() / 2


RECIPES.register(
    "fgan-tv",
    paper="arXiv:1606.00709",
    summary="f-GAN, total variation (Nowozin et al. 2016)",
    parts=("fgan-tv",),
)(Adversarial("fgan-tv"))

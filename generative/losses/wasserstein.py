"""The Wasserstein loss of Arjovsky et al. 2017, equation 2; its critic must be made Lipschitz.

Its other recipes are those of the ways to do so: see the gradient penalty and clipping.
"""

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("wasserstein", paper="arXiv:1701.07875")
class Wasserstein(Loss):
    """C(G(z)) - C(x) against -C(G(z)): over 1-Lipschitz critics, minus the W1 distance."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return fake - real

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake


RECIPES.register(
    "wasserstein-gan",
    paper="arXiv:1701.07875",
    summary="The Wasserstein loss with nothing that bounds the critic: a bilinear game",
    parts=("wasserstein",),
)(Adversarial("wasserstein"))

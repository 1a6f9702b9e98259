"""The minimax loss of Goodfellow et al. 2014, equation 1: both players share one value."""

from torch.nn.functional import softplus

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("minimax", paper="arXiv:1406.2661")
class Minimax(Loss):
    """-log D(x) - log(1 - D(G(z))) against log(1 - D(G(z))): the saturating game."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return softplus(-real) + softplus(fake)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -softplus(fake)


RECIPES.register(
    "gan",
    paper="arXiv:1406.2661",
    summary="Saturating minimax, Algorithm 1 with k critic steps (Goodfellow et al. 2014)",
    parts=("minimax",),
)(Adversarial("minimax"))

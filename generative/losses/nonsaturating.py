"""The non-saturating loss of Goodfellow et al. 2014, section 3: the generator's own objective."""

from torch.nn.functional import softplus

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("nonsaturating", paper="arXiv:1406.2661")
class NonSaturating(Loss):
    """-log D(x) - log(1 - D(G(z))) against -log D(G(z)): a gradient where the critic is sure."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return softplus(-real) + softplus(fake)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return softplus(-fake)


RECIPES.register(
    "nsgan",
    paper="arXiv:1406.2661",
    summary="Non-saturating GAN (Goodfellow et al. 2014, section 3)",
    parts=("nonsaturating",),
)(Adversarial("nonsaturating"))

RECIPES.register(
    "dcgan",
    paper="arXiv:1511.06434",
    summary="DCGAN: the non-saturating loss on its networks (Radford et al. 2016)",
    parts=("nonsaturating",),
    images_only="its networks are convolutional",
)(Adversarial("nonsaturating"))

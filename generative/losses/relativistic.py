"""The relativistic loss of Jolicoeur-Martineau 2018: is the real more real than the fake?"""

from torch.nn.functional import softplus

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("relativistic", paper="arXiv:1807.00734", relativistic=True)
class Relativistic(Loss):
    """-log sigmoid(C(x) - C(G(z))) against the same with the two exchanged, over pairs."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return softplus(fake - real)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return softplus(real - fake)


RECIPES.register(
    "rsgan",
    paper="arXiv:1807.00734",
    summary="Relativistic GAN over pairs (Jolicoeur-Martineau 2018)",
    parts=("relativistic",),
)(Adversarial("relativistic"))

"""The boundary-seeking loss of Hjelm et al. 2018, in its form for continuous data."""

from torch.nn.functional import softplus

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("boundary-seeking", paper="arXiv:1702.08431", between=(-1.0, 0.0))
class BoundarySeeking(Loss):
    """-log D(x) - log(1 - D(G(z))) against C(G(z))^2 / 2, where C = log D - log(1 - D).

    The generator seeks the boundary C = 0, where D is 1/2: from above, too. With the best critic
    C = log p/q its loss is 0 only where p is q. The authors' code has C^2.
    """

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return softplus(-real) + softplus(fake)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return fake**2 / 2


RECIPES.register(
    "bgan",
    paper="arXiv:1702.08431",
    summary="BGAN, the boundary-seeking GAN; not b-gan (Hjelm et al. 2018)",
    parts=("boundary-seeking",),
)(Adversarial("boundary-seeking"))

"""The hinge loss of Lim & Ye 2017 and Miyato et al. 2018."""

from torch.nn.functional import relu

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("hinge", paper="arXiv:1705.02894")
class Hinge(Loss):
    """relu(1 - C(x)) + relu(1 + C(G(z))) against -C(G(z)): at the optimum 2 (1 - TV)."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return relu(1 - real) + relu(1 + fake)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake


RECIPES.register(
    "hingegan",
    paper="arXiv:1705.02894",
    summary="Hinge GAN (Lim & Ye 2017)",
    parts=("hinge",),
)(Adversarial("hinge"))

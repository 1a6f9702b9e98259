"""Twice the Jensen-Shannon divergence as an f-GAN (Nowozin et al. 2016)."""

import math

from torch.nn.functional import softplus

from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import FGan
from generative.recipes.adversarial import Adversarial


@LOSSES.register("fgan-js", paper="arXiv:1606.00709")
class JensenShannon(FGan):
    """The minimax loss less log 4: 2 JS(P, Q), by the critic log p/q. Its gradients are those."""

    def output(self, logits: Logits) -> Logits:
        return math.log(2) - softplus(-logits)

    def conjugate(self, logits: Logits) -> Logits:
        return softplus(logits) - math.log(2)


RECIPES.register(
    "fgan-js",
    paper="arXiv:1606.00709",
    summary="f-GAN, Jensen-Shannon divergence (Nowozin et al. 2016)",
    parts=("fgan-js",),
)(Adversarial("fgan-js"))

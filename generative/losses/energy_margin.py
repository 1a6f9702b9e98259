"""The margin loss of EBGAN (Zhao et al. 2017, equations 1 and 2), with logit = -energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch.nn.functional import relu

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT


@LOSSES.register("energy-margin", paper="arXiv:1609.03126")
@dataclass(frozen=True)
class EnergyMargin(Loss):
    """D(x) + relu(margin - D(G(z))) against D(G(z)), where D is the energy: at the optimum
    margin (1 - TV).
    """

    margin: Annotated[float, WEIGHT] = 10.0

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return relu(self.margin + fake) - real

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake


RECIPES.register(
    "ebgan",
    paper="arXiv:1609.03126",
    summary="EBGAN: an autoencoder as critic, margin 10 (Zhao et al. 2017)",
    parts=("energy-margin", "energy"),
)(Adversarial("energy-margin", critic="energy"))

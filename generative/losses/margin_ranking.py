"""The margin loss of a first stage of GoGAN (Juefei-Xu et al. 2017): a real ahead of a fake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch.nn.functional import relu

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT


@LOSSES.register("margin-ranking", paper="arXiv:1704.04865")
@dataclass(frozen=True)
class MarginRanking(Loss):
    """relu(margin + C(G(z)) - C(x)) against -C(G(z)), pair by pair of a batch: WGAN's loss, except
    that a pair which is apart by the margin is left alone. Where none is, its slopes are WGAN's.
    """

    margin: Annotated[float, WEIGHT] = 1.0

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return relu(self.margin + fake - real)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake


MARGIN_GAN = Adversarial(
    "margin-ranking",
    constraint="clip",
    critic_steps=5,
    momentum=0.0,
    on_points={"clip_bound": 0.1},
)
"""On points a critic of weights of 0.01 has logits that differ by 1e-5: no margin is ever reached
(docs/mode-collapse.md).
"""

RECIPES.register(
    "margin-gan",
    paper="arXiv:1704.04865",
    summary="WGAN whose critic keeps reals a margin ahead of fakes (Juefei-Xu et al. 2017)",
    parts=("margin-ranking", "clip"),
)(MARGIN_GAN)

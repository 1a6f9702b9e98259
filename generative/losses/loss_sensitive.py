"""The loss-sensitive GAN (Qi 2017), with logit = -loss: margins as wide as the pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from torch import Tensor
from torch.nn.functional import relu

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.parts import Scalar, Sighted
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT


@LOSSES.register("loss-sensitive", paper="arXiv:1701.06264")
@dataclass(frozen=True)
class LossSensitive(Loss, Sighted):
    """relu(margin + L(x) - L(G(z))) against L(G(z)), over pairs of the batch; the margin is
    `sensitivity` times the sum of |x - G(z)| over all values. The authors' code has 2e-4, for
    images in [-1, 1]. Seen without examples the margin is 1.
    """

    sensitivity: Annotated[float, WEIGHT] = 2e-4
    margin: Scalar = 1.0

    def seeing(self, real: Tensor, fake: Tensor) -> Loss:
        return replace(self, margin=self.sensitivity * (real - fake).abs().flatten(1).sum(1))

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return relu(self.margin - real + fake)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake


RECIPES.register(
    "loss-sensitive-gan",
    paper="arXiv:1701.06264",
    summary="Loss-sensitive GAN: margins as wide as the pairs are apart (Qi 2017; not LSGAN)",
    parts=("loss-sensitive",),
)(Adversarial("loss-sensitive"))

"""The alpha-divergences as f-GANs (Nowozin et al. 2016)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from bench.core.errors import UsageError
from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import EXPONENTIAL, FGan
from generative.recipes.adversarial import Adversarial

FLAT = -40.0
"""Below it log softplus(x) is x to the last bit of float64."""


def log_softplus(x: Tensor) -> Tensor:
    """log log(1 + e^x), of any shape, with the slope 1 on the far left."""
    return torch.where(x < FLAT, x, softplus(x.clamp(min=2 * FLAT)).log())


@LOSSES.register("fgan-alpha", paper="arXiv:1606.00709", finite_to=EXPONENTIAL)
@dataclass(frozen=True)
class Alpha(FGan):
    """sum (q (p/q)^a - q) / (a (a - 1)), by the critic whose g(C) is ((p/q)^(a - 1) - 1) / (a - 1).

    alpha: towards 1 it is KL(P || Q), towards 0 KL(Q || P), both with losses of their own; at 1/2
    twice the squared Hellinger distance, at 2 half of Pearson's chi-square. Raises UsageError for
    0, 1 and what is not finite.
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not math.isfinite(self.alpha) or self.alpha in (0, 1):
            raise UsageError(
                "`alpha`: expected a finite number other than 0 and 1 (those are the losses "
                f"fgan-reverse-kl and fgan-kl), got {self.alpha}"
            )

    def output(self, logits: Logits) -> Logits:
        if self.alpha > 1:
            return logits
        return 1 / (1 - self.alpha) - softplus(-logits)

    def conjugate(self, logits: Logits) -> Logits:
        a, power = self.alpha, self.alpha / (self.alpha - 1)
        if a > 1:
            return (relu(1 + (a - 1) * logits) ** power - 1) / a
        return torch.expm1(power * (math.log(1 - a) + log_softplus(-logits))) / a


RECIPES.register(
    "fgan-alpha",
    paper="arXiv:1606.00709",
    summary="f-GAN, the alpha-divergence of 1/2 (Nowozin et al. 2016)",
    parts=("fgan-alpha",),
)(Adversarial("fgan-alpha"))

"""Jeffrey's divergence KL(P || Q) + KL(Q || P) as an f-GAN (Nowozin et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from generative.contracts import LOSSES, RECIPES, Logits
from generative.losses.fgan import EXPONENTIAL, FGan
from generative.recipes.adversarial import Adversarial

SEARCH, FOLLOW = 5, 2
"""Newton's steps to the root, and those that carry its derivatives: each step doubles their order,
so that after two the first three are those of the root.
"""


def log_ratio(logits: Tensor) -> Tensor:
    """log u where f'(u) = 1 + log u - 1/u is the logit, of any shape: minus log W(e^(1 - C)), with
    Lambert's W, by Newton's method for v - e^-v = C - 1, where nothing overflows.
    """
    sums = logits - 1
    with torch.no_grad():
        v = torch.where(sums > 0, sums, -torch.log1p(-sums.clamp(max=0)))
        for _ in range(SEARCH):
            v = _nearer(v, sums)
    for _ in range(FOLLOW):
        v = _nearer(v, sums)
    return v


def _nearer(v: Tensor, sums: Tensor) -> Tensor:
    inverse = (-v).exp()
    return v - (v - inverse - sums) / (1 + inverse)


@LOSSES.register("fgan-jeffrey", paper="arXiv:1606.00709", finite_to=EXPONENTIAL)
class Jeffrey(FGan):
    """-C(x) + f*(C(G(z))): sum (p - q) log p/q, by the critic 1 + log p/q - q/p.

    f*(t) = W(e^(1 - t)) + 1 / W(e^(1 - t)) + t - 2, which is u - 1 + log u where f'(u) = t.
    """

    def output(self, logits: Logits) -> Logits:
        return logits

    def conjugate(self, logits: Logits) -> Logits:
        v = log_ratio(logits)
        return torch.expm1(v) + v


RECIPES.register(
    "fgan-jeffrey",
    paper="arXiv:1606.00709",
    summary="f-GAN, Jeffrey's divergence (Nowozin et al. 2016)",
    parts=("fgan-jeffrey",),
)(Adversarial("fgan-jeffrey"))

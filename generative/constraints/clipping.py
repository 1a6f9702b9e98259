"""Weight clipping (Arjovsky et al. 2017, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from generative.contracts import CONSTRAINTS, RECIPES, Constraint
from generative.recipes.adversarial import Adversarial
from generative.training import Bounds


@dataclass(frozen=True)
class Clipping(Constraint):
    """Every weight and bias of the critic inside [-clip_bound, clip_bound]: 0.01 on images, and on
    points too in the code of Gulrajani et al. 2017 (gan_toy.py), who show there what it misses.
    """

    clip_bound: Annotated[float, Bounds(gt=0, le=1e6)] = 0.01

    def prepare(self, critic: nn.Module) -> None:
        """The first weights are left as they are, as in the paper: the first step clips them."""

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        for weight in critic.parameters():
            weight.clamp_(-self.clip_bound, self.clip_bound)


CONSTRAINTS.register(
    "clip",
    paper="arXiv:1701.07875",
    summary="Weights clipped to [-0.01, 0.01] after every step",
    per_layer=False,
)(Clipping())

RECIPES.register(
    "wgan",
    paper="arXiv:1701.07875",
    summary="Wasserstein GAN, weights clipped at 0.01, 5 critic steps (Arjovsky et al. 2017)",
    parts=("wasserstein", "clip"),
)(Adversarial("wasserstein", constraint="clip", critic_steps=5, momentum=0.0))

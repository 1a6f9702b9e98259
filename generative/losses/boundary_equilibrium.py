"""The loss of BEGAN (Berthelot et al. 2017), with logit = -energy: a balance that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.parts import Moving, Scalar
from generative.recipes.adversarial import Adversarial
from generative.training import SHARE, WEIGHT


@LOSSES.register(
    "boundary-equilibrium",
    paper="arXiv:1703.10717",
    exempt="the-critic-pulls-reals-up-and-fakes-down: it looks at fakes once k is above 0",
)
@dataclass(frozen=True)
class BoundaryEquilibrium(Loss, Moving):
    """L(x) - k L(G(z)) against L(G(z)), L the energy. After every step of the critic k moves by
    `balance_rate` * (diversity * L(x) - L(G(z))), within [0, 1]; from 0, where the critic is a
    plain autoencoder. diversity: the ratio L(G(z)) / L(x) that is aimed at.
    """

    diversity: Annotated[float, SHARE] = 0.5
    balance_rate: Annotated[float, WEIGHT] = 0.001
    k: Scalar = 0.0

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return self.k * fake - real

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake

    def moved(self, real: Logits, fake: Logits, epoch: int) -> Mapping[str, Scalar]:
        gap = fake.mean() - self.diversity * real.mean()
        return {"k": torch.as_tensor(self.k + self.balance_rate * gap).clamp(0, 1)}


RECIPES.register(
    "began",
    paper="arXiv:1703.10717",
    summary="BEGAN: an autoencoder as critic, kept in balance (Berthelot et al. 2017)",
    parts=("boundary-equilibrium", "energy-l1"),
)(Adversarial("boundary-equilibrium", critic="energy-l1"))

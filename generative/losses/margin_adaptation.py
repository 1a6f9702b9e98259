"""The loss of MAGAN (Wang et al. 2017), with logit = -energy: EBGAN's margin, adapted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn.functional import relu

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.parts import Moving, Scalar
from generative.recipes.adversarial import Adversarial


@LOSSES.register("margin-adaptation", paper="arXiv:1704.03817")
@dataclass(frozen=True)
class MarginAdaptation(Loss, Moving):
    """EBGAN's loss. In the first epoch the margin is 0, so that the critic is an autoencoder; then
    it is the mean energy of that epoch's reals, and falls to that of a later epoch where this is
    below the margin and below the mean energy of the fakes, which must not have fallen since the
    epoch before. The other fields are what is counted on the way.
    """

    margin: Scalar = 0.0
    epoch: Scalar = 0.0
    count: Scalar = 0.0
    of_reals: Scalar = 0.0
    of_fakes: Scalar = 0.0
    fakes_before: Scalar = 0.0

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return relu(self.margin + fake) - real

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake

    def moved(self, real: Logits, fake: Logits, epoch: int) -> Mapping[str, Scalar]:
        own = {"of_reals": -real.mean(), "of_fakes": -fake.mean(), "count": 1.0}
        if epoch <= int(self.epoch):
            return {name: getattr(self, name) + value for name, value in own.items()}
        reals, fakes = self.of_reals / self.count, self.of_fakes / self.count
        first = int(self.epoch) == 0
        lower = reals < self.margin and reals < fakes and fakes >= self.fakes_before
        return {
            "margin": reals if first or lower else self.margin,
            "epoch": torch.as_tensor(float(epoch)),
            "fakes_before": fakes,
            **own,
        }


RECIPES.register(
    "magan",
    paper="arXiv:1704.03817",
    summary="MAGAN: an autoencoder as critic, with a margin that falls (Wang et al. 2017)",
    parts=("margin-adaptation", "energy"),
)(Adversarial("margin-adaptation", critic="energy"))

"""The pulling-away term (Zhao et al. 2017, section 2.4): codes of a batch at right angles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor
from torch.nn.functional import normalize

from generative.contracts import RECIPES
from generative.parts import TERMS, Sight, Term
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT


@dataclass(frozen=True)
class PullingAway(Term):
    """The mean squared cosine between the codes of two fakes of a batch, over ordered pairs of
    different ones: sum of cos^2 over i != j, divided by n (n - 1).
    """

    pull_weight: Annotated[float, WEIGHT] = 0.1

    @property
    def weight(self) -> float:
        return self.pull_weight

    def __call__(self, sight: Sight) -> Tensor:
        codes = normalize(sight.of_fake[1])
        n, cosines = len(codes), codes @ codes.T
        return (cosines.square().sum() - cosines.diagonal().square().sum()) / (n * (n - 1))


TERMS.register(
    "pulling-away",
    paper="arXiv:1609.03126",
    summary="Codes of fakes at right angles to one another (EBGAN-PT)",
    player="generator",
    features=True,
)(PullingAway())

RECIPES.register(
    "ebgan-pt",
    paper="arXiv:1609.03126",
    summary="EBGAN with the pulling-away term (Zhao et al. 2017)",
    parts=("energy-margin", "energy", "pulling-away"),
)(Adversarial("energy-margin", critic="energy", terms="pulling-away"))

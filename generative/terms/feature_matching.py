"""Feature matching (Salimans et al. 2016, section 3.1): fakes with the features of reals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from generative.contracts import RECIPES
from generative.parts import TERMS, Sight, Term
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT


@dataclass(frozen=True)
class FeatureMatching(Term):
    """|E f(x) - E f(G(z))|^2 of the critic's features f, between the means of the two batches: what
    the generator minimises instead of its loss. (The authors' code takes the mean over features
    where the paper takes the sum.)
    """

    matching_weight: Annotated[float, WEIGHT] = 1.0

    @property
    def weight(self) -> float:
        return self.matching_weight

    def __call__(self, sight: Sight) -> Tensor:
        return (sight.of_real[1].mean(0) - sight.of_fake[1].mean(0)).square().sum()


TERMS.register(
    "feature-matching",
    paper="arXiv:1606.03498",
    summary="The mean features of fakes are those of reals, instead of the loss",
    player="generator",
    replaces=True,
    features=True,
)(FeatureMatching())

RECIPES.register(
    "feature-matching-gan",
    paper="arXiv:1606.03498",
    summary="GAN whose generator matches mean features (Salimans et al. 2016)",
    parts=("minimax", "feature-matching"),
)(Adversarial("minimax", terms="feature-matching"))

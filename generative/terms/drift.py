"""The drift penalty of growing GANs (Karras et al. 2018, appendix A.1): logits stay near 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from generative.parts import TERMS, Sight, Term
from generative.training import WEIGHT


@dataclass(frozen=True)
class Drift(Term):
    """C(x)^2 at reals: a Wasserstein critic may else add any constant."""

    drift_weight: Annotated[float, WEIGHT] = 0.001

    @property
    def weight(self) -> float:
        return self.drift_weight

    def __call__(self, sight: Sight) -> Tensor:
        return sight.of_real[0].square()


TERMS.register(
    "drift",
    paper="arXiv:1710.10196",
    summary="The critic's squared logits of reals",
    player="critic",
)(Drift())

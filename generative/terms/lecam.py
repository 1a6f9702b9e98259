"""The LeCam regulariser (Tseng et al. 2021): logits near their own past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor
from torch.nn.functional import relu

from generative.contracts import RECIPES, Logits
from generative.parts import TERMS, Moving, Scalar, Sight, Term
from generative.recipes.adversarial import Adversarial
from generative.training import SHARE, WEIGHT


@dataclass(frozen=True)
class LeCam(Term, Moving):
    """relu(C(x) - a_F)^2 + relu(a_R - C(G(z)))^2, where a_R and a_F are moving averages of the mean
    logits of reals and fakes, as in the authors' code (the paper's formula has no relu).
    Deviation: the averages begin at 0, theirs at 1,000 with the term left out for a while.
    """

    lecam_weight: Annotated[float, WEIGHT] = 0.3
    lecam_decay: Annotated[float, SHARE] = 0.9
    of_reals: Scalar = 0.0
    of_fakes: Scalar = 0.0

    @property
    def weight(self) -> float:
        return self.lecam_weight

    def __call__(self, sight: Sight) -> Tensor:
        real, fake = sight.of_real[0], sight.of_fake[0]
        return relu(real - self.of_fakes).square() + relu(self.of_reals - fake).square()

    def moved(self, real: Logits, fake: Logits, epoch: int) -> Mapping[str, Scalar]:
        kept = self.lecam_decay
        return {
            "of_reals": kept * self.of_reals + (1 - kept) * real.mean(),
            "of_fakes": kept * self.of_fakes + (1 - kept) * fake.mean(),
        }


TERMS.register(
    "lecam",
    paper="arXiv:2104.03310",
    summary="The critic's logits stay near their averages so far (LeCam)",
    player="critic",
)(LeCam())

RECIPES.register(
    "lecam-gan",
    paper="arXiv:2104.03310",
    summary="Hinge GAN with the LeCam regulariser (Tseng et al. 2021)",
    parts=("hinge", "lecam"),
)(Adversarial("hinge", terms="lecam"))

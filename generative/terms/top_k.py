"""Top-k training (Sinha et al. 2020): the generator learns from its best fakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from generative.contracts import RECIPES
from generative.parts import TERMS, Sight, Term
from generative.recipes.adversarial import Adversarial
from generative.training import SHARE


@dataclass(frozen=True)
class TopK(Term):
    """The generator's loss over the k fakes of a batch with the highest logits. k is the batch at
    first, `top_decay` of what it was after every epoch, and `top_share` of the batch at least; with
    a share of 1 it is the plain loss.
    """

    top_decay: Annotated[float, SHARE] = 0.99
    top_share: Annotated[float, SHARE] = 0.5

    @property
    def weight(self) -> float:
        return float(self.top_share < 1)

    def __call__(self, sight: Sight) -> Tensor:
        logits = sight.of_fake[0]
        share = max(self.top_decay**sight.epoch, self.top_share)
        k = max(1, round(share * len(logits)))
        return sight.stake()[logits.detach().topk(k).indices]


TERMS.register(
    "top-k",
    paper="arXiv:2002.06224",
    summary="The loss over the fakes with the highest logits alone (top-k)",
    player="generator",
    replaces=True,
)(TopK())

RECIPES.register(
    "topk-gan",
    paper="arXiv:2002.06224",
    summary="Non-saturating GAN, the generator learns from its best fakes (Sinha et al. 2020)",
    parts=("nonsaturating", "top-k"),
    exempt="every-setting-counts: the smallest share is reached after 70 epochs",
)(Adversarial("nonsaturating", terms="top-k"))

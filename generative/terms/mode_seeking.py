"""Mode seeking (MSGAN, Mao et al. 2019): codes that are apart give images that are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from generative.contracts import RECIPES
from generative.parts import TERMS, Sight, Term
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT

LEAST = 1e-5


@dataclass(frozen=True)
class ModeSeeking(Term):
    """1 / (d(G(z), G(z')) / d(z, z') + 1e-5) over the two halves of a batch; d: the mean absolute
    difference over both halves and all values, as in the authors' code: means first, then the
    ratio.
    """

    seeking_weight: Annotated[float, WEIGHT] = 1.0

    @property
    def weight(self) -> float:
        return self.seeking_weight

    def __call__(self, sight: Sight) -> Tensor:
        half = len(sight.fake) // 2
        images, codes = (
            (x[:half] - x[half : 2 * half]).abs().mean() for x in (sight.fake, sight.codes)
        )
        return 1 / (images / codes + LEAST)


TERMS.register(
    "mode-seeking",
    paper="arXiv:1903.05628",
    summary="Images as far apart as their codes (MSGAN)",
    player="generator",
)(ModeSeeking())

RECIPES.register(
    "msgan",
    paper="arXiv:1903.05628",
    summary="Non-saturating GAN with the mode-seeking term (Mao et al. 2019)",
    parts=("nonsaturating", "mode-seeking"),
)(Adversarial("nonsaturating", terms="mode-seeking"))

"""TAC-GAN: GAN-CLS whose critic also says the class (Dash et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from generative.captionclasses import NamedCaptions
from generative.contracts import RECIPES
from generative.games.matching import Matching
from generative.games.naming import Naming
from generative.protocols.base import Protocol
from generative.recipes.beside import Beside
from generative.recipes.text import TOLD, Mismatch, TextToImage
from generative.training import WEIGHT

COST = 1.05
"""What naming takes over a step without."""


@dataclass(frozen=True)
class Named:
    """What the class counts for both players; 0 is GAN-CLS, bit for bit."""

    class_weight: Annotated[float, WEIGHT] = 1.0


@dataclass(frozen=True)
class TacGan(Beside[TextToImage]):
    """plain: the game without classes. Deviations: those of `Naming` and `OfCaptions`; captions are
    told by the data's encoder, in the paper by skip-thought vectors.
    """

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.plain.parts(settings), "named": Named()}

    def game(
        self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> Naming | Matching:
        plain, weight = self.plain.game(rules, parts, shape), parts["named"].class_weight
        if not weight:
            return plain
        told = replace(plain.own, conditioning=NamedCaptions(1))
        return Naming(replace(plain, own=told), weight, rules, shape)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return COST * self.plain.effort(rules, usual, parts)


RECIPES.register(
    "tac-gan",
    paper="arXiv:1703.06412",
    summary="TAC-GAN: GAN-CLS whose critic also says the class, as AC-GAN's (Dash et al. 2017)",
    parts=("nonsaturating",),
    captioned=True,
    images_only="its captions are of images",
)(TacGan(TextToImage(TOLD, Mismatch())))

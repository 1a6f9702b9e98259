"""Text to image: a GAN that is told captions, and what Reed et al. 2016 add to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from generative.conditioning import OfCaptions
from generative.contracts import RECIPES
from generative.games import matching
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.beside import Beside
from generative.training import SHARE, WEIGHT

WRONG_COST, BETWEEN_COST = 0.25, 0.2
"""What wrong pairs and interpolated captions add to a step."""


@dataclass(frozen=True)
class Mismatch:
    """The share of wrong pairs in what the critic takes for fake."""

    mismatch: Annotated[float, SHARE] = 0.5


@dataclass(frozen=True)
class Interpolation:
    """Of captions: the weight of the generator's loss on them, and how much of the first."""

    interpolation: Annotated[float, WEIGHT] = 1.0
    beta: Annotated[float, SHARE] = 0.5


@dataclass(frozen=True)
class TextToImage(Beside[Adversarial]):
    """plain: told captions. mismatch, interpolation: what is added to its game, or None."""

    mismatch: Mismatch | None = None
    interpolation: Interpolation | None = None

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        added = {"mismatch": self.mismatch, "interpolation": self.interpolation}
        kept = {role: part for role, part in added.items() if part is not None}
        return {**self.plain.parts(settings), **kept}

    def game(
        self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> matching.Matching:
        wrong = parts.get("mismatch", Mismatch(0.0))
        between = parts.get("interpolation", Interpolation(0.0))
        return matching.Matching(
            self.plain.game(rules, parts, shape),
            wrong.mismatch,
            between.interpolation,
            between.beta,
            rules,
            shape,
        )

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        more = WRONG_COST * ("mismatch" in parts) + BETWEEN_COST * ("interpolation" in parts)
        return self.plain.effort(rules, usual, parts) + more


TOLD = Adversarial("nonsaturating", conditioning=OfCaptions())
_FACTS: dict[str, Any] = {
    "paper": "arXiv:1605.05396",
    "parts": ("nonsaturating",),
    "captioned": True,
    "images_only": "its captions are of images",
}

RECIPES.register(
    "gan-text", summary="A conditional GAN that is told captions, and nothing else", **_FACTS
)(TextToImage(TOLD))

RECIPES.register(
    "gan-cls",
    summary="GAN-CLS: a critic that sees images beside captions of others (Reed et al. 2016)",
    **_FACTS,
)(TextToImage(TOLD, Mismatch()))

RECIPES.register(
    "gan-int",
    summary="GAN-INT: a generator that is also told means of two captions (Reed et al. 2016)",
    **_FACTS,
)(TextToImage(TOLD, None, Interpolation()))

RECIPES.register("gan-int-cls", summary="GAN-INT-CLS: both (Reed et al. 2016)", **_FACTS)(
    TextToImage(TOLD, Mismatch(), Interpolation())
)

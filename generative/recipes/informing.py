"""InfoGAN: a GAN whose codes say something, and a reader of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from generative.contracts import RECIPES
from generative.games.adversarial import Adversarial as Gan
from generative.games.informing import Code, Informing, Reader, Unread, Writer
from generative.parts import TermFacts
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.beside import Beside

COST = 1.1
"""What a step takes over one of the plain GAN."""


@dataclass(frozen=True)
class InfoGan(Beside[Adversarial]):
    """The setting `latent` counts noise alone; what codes say comes to it."""

    code: Code

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.plain.parts(settings), "code": self.code}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Informing:
        code: Code = parts["code"]
        layout = code.layout(rules.prior)
        wider = replace(rules, latent=rules.latent + layout.size)
        plain = self.plain.game(wider, parts, shape)
        reading = Unread(layout, code.information or 1.0), TermFacts("critic", features=True)
        asking = Unread(layout, code.information), TermFacts("generator", features=True)
        own: Gan = replace(
            plain,
            terms=(reading, asking),
            critic_form=Reader(code),
            generator_form=Writer(layout),
        )
        return Informing(own, layout)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return COST * self.plain.effort(rules, usual, parts)


RECIPES.register(
    "infogan",
    paper="arXiv:1606.03657",
    summary="GAN whose codes, a category and two numbers, can be read in its samples (Chen et al. "
    "2016)",
    parts=("nonsaturating",),
)(InfoGan(Adversarial("nonsaturating"), Code()))

"""CatGAN: a GAN whose critic sorts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from generative.contracts import RECIPES
from generative.games.sorting import Categories, CatGan, Sortable, Sure
from generative.parts import TermFacts
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.beside import Beside

ROLES = (
    (Sure(), TermFacts("critic", replaces=True, features=True)),
    (Sortable(), TermFacts("generator", replaces=True, features=True)),
)


@dataclass(frozen=True)
class Categorical(Beside[Adversarial]):
    """What its players minimise is the entropies of categories instead of the GAN's loss."""

    critic: Categories

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.plain.parts(settings), "categories": self.critic}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> CatGan:
        critic: Categories = parts["categories"]
        plain = self.plain.game(rules, parts, shape)
        return CatGan(replace(plain, terms=ROLES, critic_form=critic), critic.categories)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return self.plain.effort(rules, usual, parts)


RECIPES.register(
    "catgan",
    paper="arXiv:1511.06390",
    summary="GAN whose critic sorts reals into categories and is sure of no fake (Springenberg "
    "2016)",
)(Categorical(Adversarial("nonsaturating"), Categories()))

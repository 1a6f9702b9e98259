"""CatGAN: a GAN whose critic sorts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.core.registry import Entry
from generative.contracts import RECIPES
from generative.games.sorting import Categories, CatGan, Sortable, Sure
from generative.parts import TermFacts
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.playing import Playing
from generative.training import Training

ROLES = (
    (Sure(), TermFacts("critic", replaces=True, features=True)),
    (Sortable(), TermFacts("generator", replaces=True, features=True)),
)


@dataclass(frozen=True)
class Categorical(Playing):
    """gan: how it is played; what its players minimise is the entropies of categories instead."""

    gan: Adversarial
    critic: Categories

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return self.gan.entry(training)

    def rules(self, training: Training) -> Protocol:
        return self.gan.rules(training)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return self.gan.read(settings)

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.gan.parts(settings), "categories": self.critic}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> CatGan:
        critic: Categories = parts["categories"]
        plain = self.gan.game(rules, parts, shape)
        return CatGan(replace(plain, terms=ROLES, critic_form=critic), critic.categories)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return self.gan.effort(rules, usual, parts)


RECIPES.register(
    "catgan",
    paper="arXiv:1511.06390",
    summary="GAN whose critic sorts reals into categories and is sure of no fake (Springenberg "
    "2016)",
)(Categorical(Adversarial("nonsaturating"), Categories()))

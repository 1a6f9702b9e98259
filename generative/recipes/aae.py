"""The adversarial autoencoder (Makhzani et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from bench.core.registry import Entry
from generative.contracts import LOSSES, RECIPES
from generative.games.encoding import Encoding
from generative.games.matched import Matched
from generative.protocols.base import Protocol
from generative.recipes import encoding
from generative.recipes.autoencoder import SquaredError
from generative.recipes.playing import Playing
from generative.training import WEIGHT, Training

COST = 0.9
"""A step over one of the protocol's GANs, about."""


@dataclass(frozen=True)
class Prior:
    """What codes cost that a critic tells from draws of the prior."""

    prior_weight: Annotated[float, WEIGHT] = 1.0


@dataclass(frozen=True)
class AdversarialAutoencoder(Playing):
    """An autoencoder under the run's protocol with a critic of its codes, whose layers are those of
    the protocol's critic without batch norm, or 2 x 256 where these are not dense.
    """

    coding: encoding.Encoding
    loss: str
    prior: Prior

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return self.coding.entry(training)

    def rules(self, training: Training) -> Protocol:
        return self.coding.rules(training)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return *self.coding.read(settings), "critic_lr", "critic_steps"

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.coding.parts(settings), "prior": self.prior}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Matched:
        coding = self.coding.game(rules, parts, shape)
        assert isinstance(coding, Encoding)
        weight = parts["prior"].prior_weight
        return Matched(coding, LOSSES[self.loss].part(), weight, rules, shape)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return COST


RECIPES.register(
    "aae",
    paper="arXiv:1511.05644",
    summary="Adversarial autoencoder: a critic of codes (Makhzani et al. 2016)",
    parts=("nonsaturating",),
    encodes=True,
)(AdversarialAutoencoder(encoding.Encoding(SquaredError(corruption=0.0)), "nonsaturating", Prior()))

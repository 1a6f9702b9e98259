"""CVAE-GAN: the recipe of its four networks, under the run's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.core.registry import Entry
from generative.contracts import LOSSES, RECIPES
from generative.games.asymmetric import Asymmetric, Weights
from generative.games.labelled import refuse_layers
from generative.protocols.base import Protocol, protocol_of
from generative.recipes.playing import Playing
from generative.training import Training

COST = 2.2
"""What a step takes over one of the protocol's GANs."""


@dataclass(frozen=True)
class Matched(Playing):
    """loss: of the critic."""

    loss: str
    weights: Weights

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training)

    def rules(self, training: Training) -> Protocol:
        return self.entry(training).part.told(training.settings)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return "steps", "batch", "generator_lr", "critic_lr", "latent"

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"loss": LOSSES[self.loss].part(), "weights": self.weights}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Asymmetric:
        plain = rules.critic.unmixed(), rules.generator.unmixed()
        refuse_layers(*plain, shape, rules.latent)
        return Asymmetric(parts["loss"], parts["weights"], rules, shape)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return COST


RECIPES.register(
    "cvae-gan",
    paper="arXiv:1703.10155",
    summary="Conditional VAE whose decoder matches the features of a critic and a classifier (Bao "
    "et al. 2017)",
    parts=("nonsaturating",),
    labelled=True,
    edits=True,
    images_only="its classes are those of images",
)(Matched("nonsaturating", Weights()))

"""The recipe of every model that encodes and decodes: an objective, under the run's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.core.registry import Entry
from generative.games import encoding
from generative.games.encoding import Objective
from generative.networks import Initialisation
from generative.protocols.base import Adam, Protocol, protocol_of
from generative.recipes.playing import Playing
from generative.training import Training

ADAM_RATE = 1e-3
"""Where the protocol trains its players without Adam."""
COST = 0.45
"""A step over one of the protocol's GANs, about."""


@dataclass(frozen=True)
class Encoding(Playing):
    """Protocol, steps, batch and the generator's rate are the training's.

    The protocol's layers are taken without batch norm, whose statistics are those of the data's
    codes and not of codes that are drawn, and with PyTorch's initialisation.
    """

    objective: Objective

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training)

    def rules(self, training: Training) -> Protocol:
        protocol = self.entry(training).part
        adam = protocol.generator_adam
        unmixed = replace(
            protocol,
            generator=protocol.generator.unmixed(),
            critic=protocol.critic.unmixed(),
            initialisation=Initialisation(),
            generator_adam=adam if isinstance(adam, Adam) else Adam(ADAM_RATE),
        )
        return unmixed.told(training.settings)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return "steps", "batch", "generator_lr", "latent"

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"objective": self.objective}

    def game(
        self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> encoding.Encoding:
        return encoding.Encoding(parts["objective"], rules, shape)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return COST

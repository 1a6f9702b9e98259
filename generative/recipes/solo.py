"""The recipe of every network that is trained by itself: an objective, under the run's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.core.registry import Entry
from generative.games import solo
from generative.games.solo import Objective
from generative.protocols.base import Adam, Protocol, protocol_of
from generative.recipes.playing import Playing
from generative.training import Training

ADAM = Adam(1e-3)
ON_POINTS = {"waves": 12}
"""Of networks that are told a time."""


@dataclass(frozen=True)
class Solo(Playing):
    """Protocol, steps, batch and the generator's rate are the training's; Adam has its usual betas,
    as a loss that nobody moves wants no low momentum. cost: a step over one of the protocol's GANs.
    """

    own_layers = True
    objective: Objective
    cost: float

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training)

    def rules(self, training: Training) -> Protocol:
        protocol = self.entry(training).part
        adam = protocol.generator_adam
        lr = adam.lr if isinstance(adam, Adam) else ADAM.lr
        return replace(protocol, generator_adam=replace(ADAM, lr=lr)).told(training.settings)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return "steps", "batch", "generator_lr"

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"objective": self.objective}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> solo.Solo:
        return solo.Solo(parts["objective"], rules.generator, rules, shape)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return self.cost

"""The recipe of a game of one's own, under the protocols of models that draw samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.registry import Entry
from generative.games.base import Game
from generative.protocols.base import Protocol, protocol_of
from generative.recipes.playing import Playing
from generative.training import Training

READ = ("steps", "batch", "critic_steps", "generator_lr", "critic_lr", "latent")


@dataclass(frozen=True)
class Own(Playing):
    """make: the game of a protocol, the shape of an example and parts by role. made_of: the parts;
    their annotated fields are settings. cost: what a step takes over one of a plain GAN, about.
    """

    make: Callable[[Protocol, tuple[int, ...], Mapping[str, Any]], Game]
    made_of: Mapping[str, Any] = field(default_factory=dict)
    cost: float = 1.0

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training)

    def rules(self, training: Training) -> Protocol:
        return self.entry(training).part.told(training.settings)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return READ

    def parts(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.made_of

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Game:
        return self.make(rules, shape, parts)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return self.cost

"""The recipe of a network that repairs damaged images, with an adversary or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.registry import Entry
from generative.contracts import LOSSES, Loss
from generative.games.base import Game
from generative.parts import VIEWS
from generative.protocols.base import Protocol, protocol_of
from generative.recipes.playing import Playing
from generative.training import Training

READ = ("steps", "batch", "generator_lr")
OF_CRITICS = ("critic_steps", "critic_lr")
COSTS = (0.5, 1.2)
"""What a step takes over one of a plain GAN under the same protocol, without a critic and with."""


@dataclass(frozen=True)
class Restoring(Playing):
    """make: the game of a protocol, the shape of an image and parts by role, of which `loss` and
    `view` may be missing. loss, view: by name. made_of: the other parts; their annotated fields are
    settings. A recipe without a loss has no critic, and reads nothing that is said of one. costs:
    of a step without a critic and with one, over one of a plain GAN under small-dcgan.
    """

    make: Callable[[Protocol, tuple[int, ...], Mapping[str, Any]], Game]
    made_of: Mapping[str, Any] = field(default_factory=dict)
    loss: str | None = None
    view: str | None = None
    costs: tuple[float, float] = COSTS

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training)

    def rules(self, training: Training) -> Protocol:
        return self.entry(training).part.told(training.settings)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (*READ, *(OF_CRITICS if self.loss else ()))

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        loss: dict[str, Loss] = {"loss": LOSSES[self.loss].part()} if self.loss else {}
        view = {"view": VIEWS[self.view].part} if self.view else {}
        return {**loss, **view, **self.made_of}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Game:
        return self.make(rules, shape, parts)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return self.costs[self.loss is not None]

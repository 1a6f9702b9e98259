"""What recipes share that play a GAN and more: its protocol, its settings, its effort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from bench.core.registry import Entry
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.playing import Playing
from generative.training import Training


@dataclass(frozen=True)
class BesideGan(Playing):
    """gan: the one whose protocol it is under."""

    gan: Adversarial

    @final
    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return self.gan.entry(training)

    @final
    def rules(self, training: Training) -> Protocol:
        return self.gan.rules(training)

    @final
    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return self.gan.read(settings)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return self.gan.effort(rules, usual, parts)

"""What recipes share that play another one's game and more: its protocol and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

from bench.core.registry import Entry
from generative.recipes.playing import Playing
from generative.training import Training

P = TypeVar("P", bound=Playing)


@dataclass(frozen=True)
class Beside(Playing, Generic[P]):
    """plain: the recipe whose protocol it is under."""

    plain: P

    @final
    def entry(self, training: Training) -> Entry[Any, Any]:
        return self.plain.entry(training)

    @final
    def rules(self, training: Training) -> Any:
        return self.plain.rules(training)

    @final
    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return self.plain.read(settings)

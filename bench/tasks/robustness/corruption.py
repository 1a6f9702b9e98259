"""A classifier under common corruptions: noise, blur, weather and compression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from attacks.corruptions import CORRUPTIONS
from attacks.corruptions.contracts import SEVERITIES
from bench.core.errors import UsageError
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Value
from bench.tasks.robustness.base import Trial, with_bits
from bench.tasks.robustness.changed import Changed, ChangedSettings, ChangedTask
from bench.tasks.robustness.settings import parse_radii
from bench.tasks.values import checked, value_of
from metrics import METRICS
from metrics.corruption import Corrupted
from metrics.robustness import AfterAttack, Clean

ERROR = "corruption_error"


class CorruptionSettings(ChangedSettings):
    """severities: from 1 to 5, each once."""

    severities: str = Field(default=",".join(map(str, range(1, SEVERITIES + 1))))


class CorruptionTask(ChangedTask):
    """Axes: dataset (labelled images), model (a classifier), corruption. A row for each severity,
    which stands where an attack has its radius, and one for their mean.
    """

    axes = ("dataset", "model", "corruption")
    takes = ("attack", "corrupted")
    strength = "severity"
    shown = (ERROR,)

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        asked = checked(CorruptionSettings, settings)
        _severities(asked.severities)
        return asked.model_dump()

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (CORRUPTIONS[parts["corruption"]].origin,)

    def passes(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> int:
        return len(_severities(settings["severities"]))

    def change(self, cell: Cell, bench: Bench, trial: Trial) -> Iterator[Changed]:
        corrupt = CORRUPTIONS[cell.part("corruption")].part
        for severity in _severities(cell.settings["severities"]):
            images = corrupt(trial.images, severity=severity, seeds=trial.seeds)
            yield Changed(severity, images)

    def scored(
        self, clean: Clean, steps: Sequence[tuple[Changed, AfterAttack]], examples: str
    ) -> Iterator[Value]:
        wrong = np.stack([fake.predictions != clean.labels for _, fake in steps], 1)
        for (step, _), bits in zip(steps, wrong.T, strict=True):
            value = value_of(ERROR, METRICS[ERROR].part(clean, Corrupted(bits[:, None])))
            yield with_bits(replace(value, epsilon=step.strength), bits, examples)
        yield value_of(ERROR, METRICS[ERROR].part(clean, Corrupted(wrong)))


def _severities(text: str) -> list[int]:
    """In rising order. Raises UsageError for what is none of them."""
    found = parse_radii(text, "severities")
    for severity in found:
        if severity not in range(1, SEVERITIES + 1):
            raise UsageError(
                f"`severities`: expected whole numbers from 1 to {SEVERITIES}, got {severity:g}"
            )
    return [int(severity) for severity in found]


TASKS.register("corruption")(CorruptionTask())

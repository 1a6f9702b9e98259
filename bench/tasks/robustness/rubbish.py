"""Inputs that show nothing: does a classifier take them for something?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from attacks.engine import frozen, logits_of
from bench.core.randomness import stream
from bench.models.classifiers import classifier_of, labelled, training_seconds, unfit, victim
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, Task
from bench.tasks.robustness.settings import artifact_of, describe_victim, every_part, order_of
from bench.tasks.values import checked, facts_of, scored_by, value_of
from metrics.rubbish import Rubbish

SECONDS_AN_INPUT = 1e-4
TAKES = ("rubbish",)


class Settings(BaseModel):
    """inputs: how many; Goodfellow et al. 2014, appendix A, has 10,000."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    inputs: int = Field(default=10_000, ge=1, le=1_000_000)


class RubbishTask(Task):
    """Axes: dataset (for the shape of the inputs and the training), model (a classifier)."""

    axes = ("dataset", "model")

    def every(self, axis: str) -> list[str]:
        return every_part(axis)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked = checked(Settings, settings)
        data, entry = labelled(parts["dataset"]), classifier_of(parts["model"])
        skip = unfit(parts["model"], parts["dataset"])
        trained = 0.0 if skip else training_seconds(parts["model"], parts["dataset"])
        metrics = [metric.origin for metric in scored_by(TAKES)]
        return Resolved(
            settings=asked.model_dump(),
            differing={} if asked == Settings() else asked.model_dump(),
            fingerprint=data.fingerprint,
            modules=(__name__, entry.origin, type(data).__module__, *metrics),
            seconds=trained + asked.inputs * SECONDS_AN_INPUT,
            skip=skip,
        )

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, TAKES), "name": name}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        return describe_victim(cell)

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        asked = checked(Settings, cell.settings)
        shape = labelled(cell.part("dataset")).source(cell.seed, bench.device).shape
        against = victim(order_of(cell), bench.artifacts, bench.device)
        rng = stream("data", "rubbish", *shape, cell.seed)
        inputs = torch.randn((asked.inputs, *shape), generator=rng).to(bench.device)
        with frozen(against.model):
            logits = logits_of(against.model, inputs).double()
        alone = classifier_of(cell.part("model")).facts.confidence == "exp"
        found = Rubbish((logits.exp() if alone else logits.softmax(1)).cpu().numpy())
        values = [value_of(entry.name, entry.part(None, found)) for entry in scored_by(TAKES)]
        return Measurement(values, artifact_key=against.key)


TASKS.register("rubbish")(RubbishTask())

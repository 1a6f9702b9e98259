"""Inputs that show nothing: does a classifier take them for something?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from attacks.engine import unanswered
from bench.core.randomness import stream
from bench.models.classifiers import classifier_of, labelled
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement
from bench.tasks.robustness.base import RobustnessTask, artifact_of, victim_of
from bench.tasks.values import checked, facts_of, scored_by, value_of
from metrics.rubbish import Rubbish

SECONDS_AN_INPUT = 1e-4


class RubbishSettings(BaseModel):
    """inputs: how many; Goodfellow et al. 2014, appendix A, has 10,000."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    inputs: int = Field(default=10_000, ge=1, le=1_000_000)


class RubbishTask(RobustnessTask):
    """Axes: dataset (for the shape of the inputs and the training), model (a classifier)."""

    axes = ("dataset", "model")
    takes = ("rubbish",)

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        return checked(RubbishSettings, settings).model_dump()

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        return settings["inputs"] * SECONDS_AN_INPUT

    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        return [entry.name for entry in scored_by(self.takes)]

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, self.takes), "name": name}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        shape = labelled(cell.part("dataset")).source(cell.seed, bench.device).shape
        against = victim_of(cell, bench)
        rng = stream("data", "rubbish", *shape, cell.seed)
        inputs = torch.randn((cell.settings["inputs"], *shape), generator=rng).to(bench.device)
        logits = against.logits(inputs).double()
        if wrong := unanswered(logits):
            return Measurement([], artifact_key=against.key, invalid=wrong)
        alone = classifier_of(cell.part("model")).facts.confidence == "exp"
        found = Rubbish((logits.exp() if alone else logits.softmax(1)).cpu().numpy())
        values = [value_of(entry.name, entry.part(None, found)) for entry in scored_by(self.takes)]
        return Measurement(values, artifact_key=against.key)


TASKS.register("rubbish")(RubbishTask())

"""Inputs that show nothing: does a classifier take them for something?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from pydantic import BaseModel, ConfigDict, Field

from attacks.classifiers import CLASSIFIERS, Classifier
from attacks.engine import frozen, logits_of
from bench.datasets import DATASETS
from bench.datasets.labelled import Labelled
from bench.errors import UsageError
from bench.randomness import stream
from bench.suite import Cell
from bench.tasks.attacking import checked
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, Task, Value
from bench.tasks.victims import (
    KIND,
    Order,
    classifier_of,
    describe_victim,
    labelled,
    training_seconds,
    unfit,
    victim,
)
from metrics import METRICS, Score
from metrics.rubbish import Rubbish

SECONDS_AN_INPUT = 1e-4


class Settings(BaseModel):
    """inputs: how many; Goodfellow et al. 2014, appendix A, has 10,000."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    inputs: int = Field(default=10_000, ge=1, le=1_000_000)


class RubbishTask(Task):
    """Axes: dataset (for the shape of the inputs and the training), model (a classifier)."""

    axes = ("dataset", "model")

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return list(CLASSIFIERS)
        return [entry.name for entry in DATASETS.entries() if isinstance(entry.part, Labelled)]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked = checked(Settings, settings)
        data, entry = labelled(parts["dataset"]), classifier_of(parts["model"])
        skip = unfit(parts["model"], parts["dataset"])
        trained = 0.0 if skip else training_seconds(parts["model"], parts["dataset"])
        metrics = [m.origin for m in METRICS.entries() if m.facts.takes == "rubbish"]
        return Resolved(
            settings=asked.model_dump(),
            differing={} if asked == Settings() else asked.model_dump(),
            fingerprint=data.fingerprint,
            modules=(__name__, entry.origin, type(data).__module__, *metrics),
            seconds=trained + asked.inputs * SECONDS_AN_INPUT,
            skip=skip,
        )

    def metric_facts(self, name: str) -> dict[str, Any]:
        entry = METRICS[name]
        if entry.facts.takes != "rubbish":
            names = [e.name for e in METRICS.entries() if e.facts.takes == "rubbish"]
            raise UsageError(f"metric '{name}' is not for this task; known: {', '.join(names)}")
        return {**vars(entry.facts), "paper": entry.paper, "name": name}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        return describe_victim(cell)

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        order = _order(cell)
        trains = isinstance(classifier_of(order.name).part, Classifier)
        return (KIND, order.key(cell.device)) if trains and not cell.skip else None

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        asked = checked(Settings, cell.settings)
        shape = labelled(cell.part("dataset")).source(cell.seed, bench.device).shape
        against = victim(_order(cell), bench.artifacts, bench.device)
        rng = stream("data", "rubbish", *shape, cell.seed)
        inputs = torch.randn((asked.inputs, *shape), generator=rng).to(bench.device)
        with frozen(against.model):
            logits = logits_of(against.model, inputs).double()
        alone = classifier_of(cell.part("model")).facts.confidence == "exp"
        found = Rubbish((logits.exp() if alone else logits.softmax(1)).cpu().numpy())
        return Measurement(_values(found), artifact_key=against.key)


def _values(found: Rubbish) -> list[Value]:
    rows = []
    for entry in METRICS.entries():
        if entry.facts.takes == "rubbish":
            value, std_error, n = cast(Score, entry.part(None, found))
            facts = {"direction": entry.facts.direction, "version": entry.facts.version}
            rows.append(Value(entry.name, value, std_error, n, **facts))
    return rows


def _order(cell: Cell) -> Order:
    return Order(cell.part("model"), cell.part("dataset"), cell.seed)


TASKS.register("rubbish")(RubbishTask())

"""A classifier shown images that were changed in ways which no ball of a norm holds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from attacks.engine import Answers, measure
from bench.models.classifiers import labelled
from bench.suites.cell import Cell
from bench.tasks.base import Bench, Measurement, Value
from bench.tasks.robustness.base import RobustnessTask, Trial, artifact_of, trial_of, with_bits
from bench.tasks.robustness.observing import after, clean_of
from bench.tasks.robustness.perturbing import Perturbed
from bench.tasks.values import facts_of, value_of
from metrics import METRICS
from metrics.robustness import AfterAttack, Clean, outcomes

CLEAN = "clean_error"
SECONDS_A_PASS = 2e-5


class ChangedSettings(BaseModel):
    """images: how many of the held-out ones are shown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    images: int = Field(default=1_000, ge=1, le=1_000_000)


@dataclass(frozen=True, eq=False)
class Changed:
    """Images after a change of some strength, in the unit of its task. norm: in which they are
    compared with those before it. target: the class that they are to be taken for, None for none.
    """

    strength: float
    images: Tensor
    norm: str = "l2"
    target: int | None = None


class ChangedTask(RobustnessTask):
    """The first axes are dataset and model, or source_model between them. shown: its metrics at
    each strength.
    """

    takes = ("attack",)
    shown: tuple[str, ...] = ()

    @abstractmethod
    def change(self, cell: Cell, bench: Bench, trial: Trial) -> Iterator[Changed]:
        """The trial's images at each strength, in rising order."""

    @abstractmethod
    def passes(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> int:
        """How often the classifier is asked about each image."""

    @final
    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        images = min(settings["images"], len(labelled(parts["dataset"]).split.held_images))
        return images * self.passes(parts, settings) * SECONDS_A_PASS

    @final
    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        return (CLEAN, *self.shown)

    @final
    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, self.takes), "name": name}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        trial = trial_of(cell, bench, cell.settings["images"])
        before = trial.against.classify(trial.images)
        if before.wrong:
            return _invalid(trial, f"before the change {before.wrong}")
        clean, within = clean_of(before, trial.labels), np.zeros(len(trial.labels), bool)
        steps: list[tuple[Changed, AfterAttack]] = []
        for step in self.change(cell, bench, trial):
            measured = measure(trial.images, step.images, norm=step.norm, radius=None, box=(0, 1))
            answers = trial.against.classify(step.images)
            if wrong := measured.wrong or answers.wrong:
                return _invalid(trial, f"after the change {wrong}")
            reached = _reached(step, answers, trial.labels)
            moved = Perturbed(None, step.images, reached=reached)
            fake = after(moved, answers, measured, clean, within)
            within = fake.within
            steps.append((step, fake))
        values = [_value(CLEAN, clean, steps[-1][1], trial.examples)]
        values += self.scored(clean, steps, trial.examples)
        _, key = self.artifact(cell) or ("", trial.against.key)
        return Measurement(values, artifact_key=key)

    def scored(
        self, clean: Clean, steps: Sequence[tuple[Changed, AfterAttack]], examples: str
    ) -> Iterator[Value]:
        """The values of every strength."""
        for step, fake in steps:
            for name in self.shown:
                norm = step.norm if name in ("distance", "distortion") else ""
                value = _value(name, clean, fake, examples)
                yield replace(value, epsilon=step.strength, norm=norm)


def _reached(step: Changed, answers: Answers, labels: Tensor) -> Tensor | None:
    """Which images are taken for the target, NaN for those of its class; None without a target."""
    if step.target is None:
        return None
    taken = (answers.predictions == step.target).double()
    return torch.where(labels == step.target, torch.nan, taken)


def _value(name: str, clean: Clean, fake: AfterAttack, examples: str) -> Value:
    value, bits = value_of(name, METRICS[name].part(clean, fake)), outcomes(name, clean, fake)
    return value if bits is None else with_bits(value, bits, examples)


def _invalid(trial: Trial, wrong: str) -> Measurement:
    return Measurement([], artifact_key=trial.against.key, invalid=wrong)

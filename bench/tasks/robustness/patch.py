"""A picture laid into images: is it taken for its target, wherever it lies?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from torch import Tensor

from attacks.patch import Placing, apply
from attacks.patches import PATCHES, Fitted, Purpose
from bench.core.errors import UsageError
from bench.models.classifiers import labelled
from bench.suites.cell import Cell
from bench.tasks.base import TASKS
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.changed import Changed
from bench.tasks.robustness.fitting import FittingSettings, FittingTask
from bench.tasks.robustness.settings import parse_radii
from bench.tasks.values import checked

SHOWN = 9
"""Tells the places where it is shown from those where it was fitted."""


class PatchSettings(FittingSettings):
    """areas: the shares of an image that it covers, a row each. target: the class that it is to be
    taken for. scale, degrees: as small as that, and turned so far either way, it is to work.
    """

    areas: str = "0.05,0.1,0.2,0.4"
    target: int = Field(default=0, ge=0)
    scale: float = Field(default=0.9, gt=0, le=1)
    degrees: float = Field(default=22.5, ge=0, le=180)


class PatchTask(FittingTask):
    """Axes: dataset, source_model, model, patch. A row for each area, which stands where an attack
    has its radius; `target_success` leaves images of the target class out.
    """

    axes = ("dataset", "source_model", "model", "patch")
    kind = "patch"
    strength = "area"
    shown = ("target_success", "adversarial_error", "attack_success")

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        asked = checked(PatchSettings, settings)
        classes = labelled(parts["dataset"]).classes
        if asked.target >= classes:
            raise UsageError(
                f"setting 'target': expected a class from 0 to {classes - 1}, got {asked.target}"
            )
        for area in parse_radii(asked.areas, "areas"):
            Placing(area)
        return asked.model_dump()

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (PATCHES[parts["patch"]].origin, Placing.__module__)

    def passes(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> int:
        part = PATCHES[parts["patch"]].part
        steps = part.fitting.steps * part.fitting.batch if isinstance(part, Fitted) else 0
        return len(self.strengths(settings)) * (1 + 3 * steps // settings["images"])

    def strengths(self, settings: Mapping[str, Any]) -> list[float]:
        return parse_radii(settings["areas"], "areas")

    def fit(self, cell: Cell, strength: float, training: Trial) -> Tensor:
        make = PATCHES[cell.part("patch")].part
        model, target = training.against.model, cell.settings["target"]
        about = (model, training.images, training.labels, training.seeds, target)
        return make(Purpose(*about, _placing(cell, strength)))[None]

    def show(self, cell: Cell, strength: float, fitted: Tensor, trial: Trial) -> Changed:
        images = apply(trial.images, fitted[0], trial.seeds, _placing(cell, strength), SHOWN)
        return Changed(strength, images, target=cell.settings["target"])


def _placing(cell: Cell, area: float) -> Placing:
    scale, degrees = cell.settings["scale"], cell.settings["degrees"]
    return Placing(area, scales=(scale, 1.0), degrees=degrees)


TASKS.register("patch")(PatchTask())

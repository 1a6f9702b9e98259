"""A classifier under rotations and shifts: the worst of a grid, or of a few drawn from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, field_validator

from attacks.engine import frozen
from attacks.spatial import Spatial
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.changed import Changed, ChangedSettings, ChangedTask
from bench.tasks.robustness.settings import parse_radii
from bench.tasks.values import checked

ALL = "all"


class SpatialSettings(ChangedSettings):
    """degrees: how far an image may be turned either way, a row each. pixels: how far it may be
    moved down and across; angles, shifts: of the grid. tries: "all" of it, or how many are drawn
    from it, whose worst is kept.
    """

    degrees: str = "0,10,20,30"
    pixels: float = Field(default=3.0, ge=0, le=1_000)
    angles: int = Field(default=31, ge=1, le=1_001)
    shifts: int = Field(default=5, ge=1, le=101)
    tries: str = ALL

    @field_validator("tries", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        value = str(value) if type(value) is int else value
        if value != ALL and not (isinstance(value, str) and value.isdecimal() and int(value)):
            raise ValueError(f"expected {ALL}, or how many")
        return value


class SpatialTask(ChangedTask):
    """Axes: dataset (labelled images), model (a classifier). A row for each of the degrees, which
    stand where an attack has its radius.
    """

    axes = ("dataset", "model")
    strength = "degrees"
    shown = ("adversarial_error", "robust_accuracy", "attack_success")

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        asked = checked(SpatialSettings, settings)
        for degrees in parse_radii(asked.degrees, "degrees"):
            _attack(asked.model_dump(), degrees)
        return asked.model_dump()

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (Spatial.__module__,)

    def passes(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> int:
        angles, shifts, tries = (settings[name] for name in ("angles", "shifts", "tries"))
        times = angles * shifts * shifts if tries == ALL else int(tries)
        return times * len(parse_radii(settings["degrees"], "degrees"))

    def change(self, cell: Cell, bench: Bench, trial: Trial) -> Iterator[Changed]:
        model = trial.against.model
        for degrees in parse_radii(cell.settings["degrees"], "degrees"):
            attack = _attack(cell.settings, degrees)
            with frozen(model):
                found = attack(model, trial.images, trial.labels, seeds=trial.seeds)
            yield Changed(degrees, found.images)


def _attack(settings: Mapping[str, Any], degrees: float) -> Spatial:
    """The grid within so many degrees; one angle where they are 0."""
    angles = settings["angles"] if degrees else 1
    tries = None if settings["tries"] == ALL else int(settings["tries"])
    return Spatial(degrees, settings["pixels"], angles, settings["shifts"], tries)


TASKS.register("spatial")(SpatialTask())

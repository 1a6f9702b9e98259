"""Units or directions: do the images that excite a unit most show one class more than those along
a random direction?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.models.brought import SETTINGS
from bench.models.classifiers import labelled, untrained
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Value
from bench.tasks.robustness.base import RobustnessTask, Trial, artifact_of, trial_of
from bench.tasks.robustness.directions import KINDS, Tops, by_lot, directions, prepared, tops
from bench.tasks.robustness.hidden import LAST, features
from bench.tasks.values import checked, facts_of, scored_by, value_of
from metrics import METRICS
from metrics.purity import Groups

CHANCE = "chance"
BY_LOT = 2_000
"""Groups that are drawn by lot: the floor is known to a fraction of a per cent."""
SHOWN = 6
"""Units and random directions of a picture."""
SECONDS_AN_IMAGE = 1e-3
HEADS = {"units": "units", "random": "random", "pca": "PCA axes", CHANCE: "by lot"}


class UnitsSettings(BaseModel):
    """layer: "last" hidden, "pixels", or the name of a module. top: images a direction. directions:
    of each kind, at most; units that never vary are left out. features: "raw" (of units that are
    all positive an image of large norm ranks high along many directions), "cosine" or "whitened".
    images: how many held-out ones are ranked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    layer: str = LAST
    top: int = Field(default=8, ge=2, le=1_000)
    directions: int = Field(default=100, ge=2, le=10_000)
    features: Literal["raw", "cosine", "whitened"] = "raw"
    images: int = Field(default=1_000, ge=2, le=100_000)


class UnitsTask(RobustnessTask):
    """Axes: dataset (labelled images), model (a classifier)."""

    axes = ("dataset", "model")
    takes = ("groups",)
    refuses = staticmethod(
        lambda parts, settings: _unread(parts["model"], parts["dataset"], settings["layer"])
    )

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        return checked(UnitsSettings, settings).model_dump()

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        images = min(settings["images"], len(labelled(parts["dataset"]).split.held_images))
        return images * SECONDS_AN_IMAGE

    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        return [f"{entry.name}@{kind}" for entry in scored_by(self.takes) for kind in HEADS]

    def metric_facts(self, name: str) -> dict[str, Any]:
        known, _, kind = name.partition("@")
        facts = facts_of(known, self.takes)
        if kind not in HEADS:
            expected = ", ".join(f"{known}@{each}" for each in HEADS)
            raise UsageError(f"metric '{name}': expected it with what is ranked along: {expected}")
        return {**facts, "title": f"{facts['title']}, {HEADS[kind]}", "name": name}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        asked = {k: v for k, v in cell.settings.items() if k not in SETTINGS}
        settings = checked(UnitsSettings, asked)
        trial = trial_of(cell, bench, settings.images)
        groups = ranked(settings, trial, stream("data", "directions", cell.seed))
        values = scores(groups, trial.labels)
        return Measurement(values, artifact_key=trial.against.key, arrays=_shown(groups, trial))


def ranked(asked: UnitsSettings, trial: Trial, rng: torch.Generator) -> dict[str, Tops]:
    """The images that excite each direction most, by kind of direction, and groups by lot.

    Raises UsageError for fewer images than a group has.
    """
    n = len(trial.images)
    if n < asked.top:
        raise UsageError(f"`top`: expected at most {n}, as there are images, got {asked.top}")
    values = prepared(features(trial.against.model, trial.images, asked.layer), asked.features)
    along = directions(values, asked.directions, rng)
    found = {kind: tops(values, along[kind], asked.top, rng) for kind in KINDS}
    return {**found, CHANCE: by_lot(n, BY_LOT, asked.top, rng)}


def scores(groups: Mapping[str, Tops], labels: Tensor) -> list[Value]:
    """A value of each metric for each kind of direction, in that order."""
    told = {kind: Groups(labels.cpu()[places.cpu()].numpy()) for kind, places in groups.items()}
    return [
        value_of(entry.name, METRICS[entry.name].part(None, fake), suffix=f"@{kind}")
        for entry in scored_by(UnitsTask.takes)
        for kind, fake in told.items()
    ]


def _shown(groups: Mapping[str, Tops], trial: Trial) -> dict[str, np.ndarray]:
    """The top images of the first units and random directions, uint8 [rows, top, c, h, w]."""
    pixels = (trial.images * 255).round().byte().cpu()
    kinds = ("units", "random")
    return {f"top_{kind}": pixels[groups[kind][:SHOWN].cpu()].numpy() for kind in kinds}


@cache
def _unread(model: str, dataset: str, layer: str) -> str:
    """Why a registered classifier has no such layer, or empty; of one that comes as it is nothing
    is said before it is there.
    """
    network = untrained(model, dataset)
    if network is None:
        return ""
    try:
        features(network, torch.zeros(2, *labelled(dataset).source(0).shape), layer)
    except UsageError as error:
        return f"{model}: {error}"
    return ""


TASKS.register("units")(UnitsTask())

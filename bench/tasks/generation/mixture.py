"""Mode collapse on a Gaussian mixture: train a model, count its samples by mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from bench.datasets import DATASETS, Source
from bench.datasets.mixtures import Mixture, from_table
from bench.models.generators import Trained
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation.bounds import bounds, held_out_of
from bench.tasks.generation.experiment import Arrays, DrawingExperiment, DrawingTask, Made
from bench.tasks.generation.facts import data_modules
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.settings import (
    DrawingSettings,
    Evaluations,
    Target,
    models_for,
    read_settings,
    resolve_drawing,
)
from bench.tasks.values import facts_of, scored_by
from generative import DensitySampler, Sampler
from metrics import METRICS, ModeTally, tally, truth

CURVES = ("modes_covered", "high_quality", "reverse_kl_modes", "forward_kl_modes")
PICTURED_SAMPLES = 2_000
TAKES = ("modes", "density", "likelihood", "latent")


class MixtureSettings(DrawingSettings):
    """Of a model of points."""

    protocol: str = "plane"
    evaluations: Evaluations = 20


class MixtureExperiment(DrawingExperiment[Source, MixtureSettings]):
    """A model of a mixture's points."""

    kind, elsewhere = MixtureSettings, Mixture.__module__

    @cached_property
    def mixture(self) -> Mixture:
        """What the points are drawn from."""
        return _mixture(self.cell.part("dataset"), _freeze(self.cell.definition))

    def open_source(self) -> Source:
        return self.mixture.source(self.cell.seed, self.device)

    def glance(self, snapshot: np.ndarray) -> Iterable[Named]:
        counts = tally(self.mixture, snapshot, self.mixture.rule)
        for name in CURVES:
            yield name, METRICS[name].part(truth(self.mixture, self.mixture.rule), counts), ""

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return {}

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        samples = made.values.cpu().numpy()
        pictured = _flat(samples[:PICTURED_SAMPLES]).astype(np.float32)
        return self._scores(fitted, samples), {"samples": pictured}

    def _scores(self, fitted: Sampler, samples: np.ndarray) -> Iterable[Named]:
        """Every registered metric that fits what is at hand."""
        held_out = held_out_of(self.source, self.cell, "cpu", len(samples))
        yield from self._counted(samples)
        yield from bounds(held_out, fitted, self.cell, self.device)
        if self.mixture.degenerate:
            return
        for entry in scored_by(("density",)):
            yield entry.name, entry.part(self.mixture, samples), ""
        if isinstance(fitted, DensitySampler):
            for entry in scored_by(("likelihood",)):
                yield entry.name, entry.part(held_out, fitted), ""

    def _counted(self, samples: np.ndarray) -> Iterable[Named]:
        """By each rule and number of samples that a metric is fixed to."""
        counted: dict[tuple[str, int], ModeTally] = {}
        for entry in scored_by(("modes",)):
            rule = entry.facts.rule or self.mixture.rule
            n = entry.facts.samples or len(samples)
            if (rule, n) not in counted:
                counted[rule, n] = tally(self.mixture, samples[:n], rule)
            yield entry.name, entry.part(truth(self.mixture, rule), counted[rule, n]), ""


class MixtureTask(DrawingTask):
    """The dataset is a Gaussian mixture."""

    takes_mixtures = True
    experiment = MixtureExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return models_for("points")
        return [entry.name for entry in DATASETS.entries() if isinstance(entry.part, Mixture)]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        mixture = _mixture(parts["dataset"], _freeze(definition))
        asked = read_settings(MixtureSettings, settings)
        target = Target(
            shape=(mixture.dim,),
            fingerprint=mixture.fingerprint,
            modules=(__name__,),
            data_modules=data_modules(parts["dataset"], Mixture.__module__, definition),
            takes=TAKES,
            seconds=2e-5 * asked.samples,
        )
        return resolve_drawing(target, parts["model"], asked, MixtureSettings())

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, TAKES), "name": name}

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        name = cell.part("dataset")
        mixture = _mixture(name, _freeze(cell.definition))
        return {
            "summary": mixture.note,
            "papers": [] if cell.definition else [DATASETS[name].paper],
            "modes": mixture.modes,
            "rule": mixture.rule,
            "centres": _flat(mixture.centres).tolist(),
            "widths": mixture.widest.tolist(),
        }


def _flat(points: np.ndarray) -> np.ndarray:
    """The first two coordinates, for pictures; 0 for the second where there is none."""
    return np.pad(points[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))


@lru_cache(maxsize=256)
def _mixture(name: str, definition: tuple | None) -> Mixture:
    if definition is not None:
        return from_table(dict(definition))
    part = DATASETS[name].part
    if not isinstance(part, Mixture):
        raise UsageError(f"dataset '{name}' is no Gaussian mixture; this task needs one")
    return part


def _freeze(definition: dict | None) -> tuple | None:
    """A definition as a value that can be a key."""

    def deep(value: Any) -> Any:
        return tuple(map(deep, value)) if isinstance(value, list | tuple) else value

    return None if definition is None else tuple((k, deep(v)) for k, v in definition.items())


TASKS.register("mixture")(MixtureTask())

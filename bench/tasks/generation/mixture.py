"""Mode collapse on a Gaussian mixture: train a model, count its samples by mode.

Points whose modes nobody knows are scored by what can be said of any two sets of points.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bench.core.registry import Entry
from bench.datasets import DatasetFacts, Source
from bench.datasets.mixtures import Mixture, from_table
from bench.datasets.named import entry_named, names_with
from bench.models.generators import Trained
from bench.models.sidebyside import apart
from bench.models.signature import Signature
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation.bounds import bounds, held_out_of
from bench.tasks.generation.experiment import (
    Arrays,
    DrawingExperiment,
    DrawingTask,
    Glimpse,
    Made,
    watched,
)
from bench.tasks.generation.facts import modules_of
from bench.tasks.generation.featurescores import (
    OF_FEATURES,
    Named,
    feature_scores,
    names_given,
)
from bench.tasks.generation.journeys import OF_PLAY, TRAJECTORY, sight_of
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
from metrics.modes import covered
from metrics.tally import counting_seconds

POINTS = frozenset({"points"})
CURVES = ("modes_covered", "modes_near", "high_quality", "reverse_kl_modes", "forward_kl_modes")
PICTURED_SAMPLES = 2_000
FRAMES, FILMED_SAMPLES = 12, 200
"""Looks at a training that are kept for pages, and the points of each."""
EXAMPLE = (2,)
"""The shape that points which are not here are taken to have."""
TAKES = ("modes", "density", "likelihood", "latent", "sampled", TRAJECTORY, *OF_PLAY, *OF_FEATURES)


class MixtureSettings(DrawingSettings):
    """Of a model of points. ensemble: seeds, with commas between, that are trained side by side,
    where the model can be, and is faster so; each by itself where empty.
    """

    protocol: str = "plane"
    evaluations: Evaluations = 20
    ensemble: Annotated[str, Field(pattern=r"^(\d+(,\d+)+)?$")] = ""

    @property
    def beside(self) -> tuple[int, ...]:
        """Those seeds."""
        return tuple(dict.fromkeys(int(part) for part in self.ensemble.split(",") if part))


class MixtureExperiment(DrawingExperiment[Source, MixtureSettings]):
    """A model of points."""

    kind = MixtureSettings

    @property
    def beside(self) -> tuple[int, ...]:
        return self.asked.beside

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        return points_of(self.cell)

    @property
    def moded(self) -> bool:
        """Whether the modes are known."""
        return "modes" in self.entry.part.offers

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        if not self.moded:
            return Glimpse()
        mixture = self.entry.part
        counts, real = tally(mixture, snapshot, mixture.rule), truth(mixture, mixture.rule)
        scores = [(name, METRICS[name].part(real, counts), "") for name in CURVES]
        return Glimpse(
            scores, sight_of(real.weights, counts.nearest, covered(real, counts), counts.n)
        )

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        """Some points of some looks: a film of a hundred looks is drawn from the model."""
        kept = watched(trained, FILMED_SAMPLES)
        if not kept or kept["training"].ndim != 3:
            return {}
        some = np.unique(np.linspace(0, len(kept["training"]) - 1, FRAMES).round().astype(int))
        frames = [_flat(kept["training"][at]).astype(np.float32) for at in some]
        looks = {"training": np.stack(frames), "training_steps": kept["training_steps"][some]}
        return {**looks, **_fields([trained.signatures[at] for at in some if trained.signatures])}

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        samples = made.values.cpu().numpy()
        pictured = _flat(samples[:PICTURED_SAMPLES]).astype(np.float32)
        return self._scores(fitted, samples), {"samples": pictured}

    def _scores(self, fitted: Sampler, samples: np.ndarray) -> Iterable[Named]:
        """Every registered metric that fits what is at hand."""
        held_out = held_out_of(self.source, self.cell, "cpu", len(samples))
        if self.moded:
            yield from self._counted(samples)
        else:
            for name, score, _ in feature_scores(held_out, samples, ""):
                yield name, score, ""
        for entry in scored_by(("sampled",)):
            yield entry.name, entry.part(None, fitted.passes), ""
        yield from bounds(held_out, fitted, self.cell, self.device)
        density = self.source.density
        if density is None:
            return
        for entry in scored_by(("density",)):
            yield entry.name, entry.part(density, samples), ""
        if isinstance(fitted, DensitySampler):
            for entry in scored_by(("likelihood",)):
                yield entry.name, entry.part(held_out, fitted), ""

    def _counted(self, samples: np.ndarray) -> Iterable[Named]:
        """By each rule and number of samples that a metric is fixed to."""
        mixture, counted = self.entry.part, dict[tuple[str, int], ModeTally]()
        for entry in scored_by(("modes",)):
            rule = entry.facts.rule or mixture.rule
            n = entry.facts.samples or len(samples)
            if (rule, n) not in counted:
                counted[rule, n] = tally(mixture, samples[:n], rule)
            yield entry.name, entry.part(truth(mixture, rule), counted[rule, n]), ""


class MixtureTask(DrawingTask):
    """The dataset is a Gaussian mixture, or any other of points."""

    needs = POINTS
    takes_mixtures = True
    ensembles = True
    experiment = MixtureExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return models_for("points")
        return names_with(self.needs)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        entry = _entry(parts["dataset"], _freeze(definition))
        asked, missing = read_settings(MixtureSettings, settings), entry.part.missing
        shape = EXAMPLE if missing else entry.part.source(0).shape
        together = asked.ensemble and not apart(parts["model"], asked.training(), shape)
        target = Target(
            shape=shape,
            fingerprint=entry.part.fingerprint,
            modules=(__name__,),
            data_modules=modules_of(entry),
            takes=TAKES,
            own={"ensemble": asked.ensemble} if together else {},
            seconds=2e-5 * asked.samples + _counting(entry.part, asked.samples),
            moded="modes" in entry.part.offers,
            skip=missing,
        )
        found = resolve_drawing(target, parts["model"], asked, MixtureSettings())
        return found if missing else replace(found, gives=frozenset(_given(entry.part)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, TAKES), "name": name}

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        entry = points_of(cell)
        papers, mixture = [entry.paper] if entry.paper else [], entry.part
        if "modes" not in mixture.offers:
            return {"summary": entry.summary, "papers": papers, "modes": 0}
        return {
            "summary": mixture.note,
            "papers": papers,
            "modes": mixture.modes,
            "rule": mixture.rule,
            "centres": _flat(mixture.centres).tolist(),
            "widths": mixture.widest.tolist(),
        }


def points_of(cell: Cell) -> Entry[Any, DatasetFacts]:
    """The points of a cell: a data set by name, or a suite's own mixture."""
    return _entry(cell.part("dataset"), _freeze(cell.definition))


def _given(data: Any) -> Iterator[str]:
    """The metrics that a cell can have: by mode where the modes are known, of densities where there
    is one.
    """
    yield from names_given(("modes", TRAJECTORY) if "modes" in data.offers else OF_FEATURES)
    yield from names_given(("latent", "sampled", *OF_PLAY))
    if data.source(0).density is not None:
        yield from names_given(("density", "likelihood"))


@lru_cache(maxsize=256)
def _counting(data: Any, samples: int) -> float:
    """A forecast of counting by mode, where the modes are known."""
    return counting_seconds(data, samples) if "modes" in data.offers else 0.0


def _fields(signatures: Sequence[Signature]) -> Arrays:
    """What the critic thought of every place at each of those looks; nothing where it was not asked
    at one.
    """
    fields = [taken.field for taken in signatures if taken.field is not None]
    if not fields or len(fields) < len(signatures):
        return {}
    logits = np.stack([field.logits.numpy() for field in fields]).astype(np.float16)
    return {"training_fields": logits, "training_reach": np.array(fields[0].reach)}


def _flat(points: np.ndarray) -> np.ndarray:
    """The first two coordinates, for pictures; 0 for the second where there is none."""
    return np.pad(points[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))


@lru_cache(maxsize=256)
def _entry(name: str, definition: tuple | None) -> Entry[Any, DatasetFacts]:
    if definition is None:
        return entry_named(name, POINTS, "task mixture")
    part = from_table(dict(definition))
    return Entry(name, part, "", part.note, Mixture.__module__, DatasetFacts(part.modes))


def _freeze(definition: dict | None) -> tuple | None:
    """A definition as a value that can be a key."""

    def deep(value: Any) -> Any:
        return tuple(map(deep, value)) if isinstance(value, list | tuple) else value

    return None if definition is None else tuple((k, deep(v)) for k, v in definition.items())


TASKS.register("mixture")(MixtureTask())

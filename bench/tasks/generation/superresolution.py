"""Super-resolution: make held-out images coarse, let a trained model make them fine again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets import DatasetFacts
from bench.datasets.labelled import LabelledSource
from bench.datasets.named import entry_named
from bench.datasets.pixels import to_bytes
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import Trained, restored, train
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Resolved, SamplingTask
from bench.tasks.generation.experiment import Arrays, Experiment, GenerationTask, Glimpse, Made
from bench.tasks.generation.facts import facts_by_what
from bench.tasks.generation.featurescores import (
    OF_FEATURES,
    Named,
    feature_scores,
    names_given,
)
from bench.tasks.generation.image import IMAGES, ImageSettings, entry_of, resolve_images
from bench.tasks.generation.imagescores import (
    COMPARED,
    OF_MASKS,
    READING,
    features_of,
    name_of,
    read_alike,
)
from bench.tasks.generation.settings import recipe_of
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import scored_by
from generative import RECIPES, Magnifier, Sampler
from generative.magnifying import USUAL, coarsened, refuse, repeated
from generative.recipes.magnifying import TASK
from generative.recipes.references import Reals
from metrics import JUDGES, METRICS
from metrics.translation import Translated

CONSISTENCY = "consistency"
COMPARES, REFINED, READ = "translated", "refined", "completed"
TAKES = (*OF_FEATURES, COMPARES, REFINED, READ)
SPREAD = "noise_spread"
"""The one comparison that asks for several draws: these models draw nothing."""
PICTURED, BOUND = 24, "oracle"


class SuperResolutionSettings(ImageSettings):
    """factor: how many pixels a side become one coarse pixel, their mean."""

    shared: ClassVar[tuple[str, ...]] = ("factor",)
    protocol: str = "small-dcgan"
    factor: int = Field(default=USUAL, ge=2, le=64)


class SuperResolutionExperiment(Experiment[Sampler, LabelledSource, SuperResolutionSettings]):
    """A model that magnifies, and the coarse images of held-out ones."""

    kind, fixed_noise = SuperResolutionSettings, True
    outcome = "magnified images"

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        return entry_of(self.cell)

    @property
    def pictures(self) -> Tensor:
        """As they are, [n, c, h, w]."""
        return self.source.held_out[: self.asked.samples]

    @cached_property
    def coarse(self) -> Tensor:
        """What a model is given of them."""
        return coarsened(self.pictures, self.asked.factor)

    def train(self, store: ArtifactStore) -> Trained[Sampler]:
        return train(self.order, self.source, store)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse()

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return {}

    def magnified(self, fitted: Sampler) -> Tensor:
        """What a model makes of the coarse images, as it is; the oracle knows the truth."""
        if isinstance(fitted, Reals):
            return self.pictures
        if not isinstance(fitted, Magnifier):
            raise UsageError(f"a {type(fitted).__name__} magnifies nothing: a Magnifier is needed")
        return fitted.magnify(self.coarse)

    def make(self, fitted: Sampler) -> Made:
        made = self.magnified(fitted)
        return Made(made.clamp(0, 1), drawn=made)

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        inputs = repeated(self.coarse, self.asked.factor)
        kept = sheet(PICTURED, inputs=inputs, samples=made.values, truth=self.pictures)
        assert made.drawn is not None
        return [*self._compared(made.values, made.drawn), *self._featured(made.values)], kept

    def _compared(self, made: Tensor, drawn: Tensor) -> Iterator[Named]:
        """With the truth, what a judge reads in both, and with the coarse images that were given:
        what was drawn as it is, before it is clipped.
        """
        real, fake = self.pictures.cpu().numpy(), Translated(made.cpu().numpy())
        for entry in scored_by((COMPARES,)):
            with suppress(UsageError):
                yield entry.name, entry.part(real, fake), ""
        coarse = self.coarse.cpu().numpy()
        yield CONSISTENCY, METRICS[CONSISTENCY].part(coarse, drawn.cpu().numpy()), ""
        if judge := entry_of(self.cell).part.judge:
            yield read_alike(judge, self.pictures, made)

    def _featured(self, made: Tensor) -> Iterator[Named]:
        """Against training images."""
        part = extractor_named(name_of(self.cell.settings["features"]))
        sets = (self.source.training_bytes[:COMPARED], to_bytes(made))
        real, fake = (features_of(part, images, self.device) for images in sets)
        yield from feature_scores(real, fake, part.tag)


def _given(parts: Mapping[str, str], found: Resolved) -> Iterator[str]:
    """The metrics that a cell can have."""
    tag, size = found.settings["features"], found.settings.get("size")
    judge = entry_named(parts["dataset"], IMAGES, "task image", size).part.judge
    yield from names_given(OF_FEATURES, tag, extractor_named(name_of(tag)).dims or 0)
    yield from (entry.name for entry in scored_by((COMPARES,)) if entry.name != SPREAD)
    yield CONSISTENCY
    yield from (f"{READING}@{JUDGES[judge].part.tag}",) if judge else ()


class SuperResolutionTask(GenerationTask[SuperResolutionExperiment], SamplingTask):
    """The dataset is of images whose sides the factor divides; the model one that magnifies, or the
    oracle, which knows the truth.
    """

    needs = IMAGES
    experiment = SuperResolutionExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return [
                e.name for e in RECIPES.entries() if e.facts.restores == TASK or e.name == BOUND
            ]
        return TASKS["image"].part.every(axis)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        modules = (__name__, Magnifier.__module__, coarsened.__module__)
        kind = SuperResolutionSettings
        found = resolve_images(parts, settings, kind, ("factor",), TAKES, modules, TASK)
        if found.skip:
            return found
        recipe = recipe_of(parts["model"])
        if recipe.facts.restores != TASK and recipe.name != BOUND:
            return replace(found, skip=f"model '{recipe.name}' magnifies nothing: task image")
        data = entry_named(parts["dataset"], IMAGES, "task image", found.settings.get("size")).part
        refuse(data.source(0).shape, found.settings["factor"])
        return replace(found, gives=frozenset(_given(parts, found)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric, under its name and what it rests on."""
        known = name.partition("@")[0]
        if known in (*OF_MASKS, SPREAD):
            raise UsageError(f"metric '{known}' is not for this task: nothing is masked or drawn")
        needs = "what it rests on@digits-cnn"
        alone = (COMPARES, REFINED)
        return facts_by_what(name, TAKES, alone, needs, lambda e: extractor_named(e).tag)

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        return TASKS["image"].part.describe(cell)["dataset"]

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        at_work = self.experiment(cell, bench.device)
        if n > len(at_work.pictures):
            raise UsageError(f"there are {len(at_work.pictures)} held-out images, got {n}")
        made = at_work.magnified(self.fitted(cell, bench))[:n]
        return to_bytes(made.clamp(0, 1)).cpu().numpy()

    def fitted(self, cell: Cell, bench: Bench) -> Sampler:
        at_work = self.experiment(cell, bench.device)
        at_work.refuse_changed()
        return restored(Sampler, at_work.order, at_work.source, bench.artifacts)


TASKS.register(TASK)(SuperResolutionTask())

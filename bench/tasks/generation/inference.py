"""Inference: whether an encoder undoes its generator, and what its codes are good for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets import DatasetFacts
from bench.datasets.base import Source
from bench.datasets.labelled import LabelledSource
from bench.datasets.named import entry_named
from bench.models.generators import Trained, train
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation import encoded, inferring
from bench.tasks.generation.bounds import held_out_of
from bench.tasks.generation.encoded import EncodedExperiment, EncodedTask
from bench.tasks.generation.experiment import Arrays, Experiment, Glimpse, Made
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.image import IMAGES, ImageSettings, resolve_images
from bench.tasks.generation.inferring import (
    AGGREGATE,
    BOUNDS,
    CODES,
    DATA,
    LABELS,
    OF_CODES,
    Examples,
    names_of_inference,
    rebuilt,
    scores_of_inference,
)
from bench.tasks.generation.mixture import POINTS, MixtureSettings, points_of
from bench.tasks.generation.settings import recipe_of
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import facts_of, scored_by
from generative import RECIPES, Sampler

TAKES = (DATA, CODES, LABELS)
PICTURED, PICTURED_POINTS = 16, 2_000


class InferenceSettings(ImageSettings):
    """Those of a model of images; no feature of another network is looked at."""

    features: str = "pixels"


class InferenceExperiment(EncodedExperiment[InferenceSettings]):
    """All held-out images, by their classes where these are known."""

    kind = InferenceSettings
    outcome: ClassVar[str] = "rebuilt images"

    @cached_property
    def examples(self) -> Examples:
        """What is scored."""
        source: LabelledSource = self.source
        if not source.classes:
            return Examples(source.training, source.held_out)
        known = source.training_labels[: len(source.training)]
        return Examples(source.training, source.held_out, (known, source.held_out_labels))

    def make(self, fitted: Sampler) -> Made:
        return Made(rebuilt(fitted, self.source.held_out))

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        kept = sheet(PICTURED, originals=self.source.held_out, samples=made.values.clamp(0, 1))
        return scores_of_inference(fitted, self.examples, made.values, self.stream("codes")), kept


class PointsExperiment(Experiment[Sampler, Source, MixtureSettings]):
    """New points, as many as samples are scored."""

    kind, boxed = MixtureSettings, False
    outcome: ClassVar[str] = "rebuilt points"

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        return points_of(self.cell)

    def train(self, store: ArtifactStore) -> Trained[Sampler]:
        return train(self.order, self.source, store)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse()

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return {}

    @cached_property
    def examples(self) -> Examples:
        """What is scored."""
        held = held_out_of(self.source, self.cell, "cpu", self.asked.samples)
        return Examples(self.source.training, torch.from_numpy(held).to(self.device))

    def make(self, fitted: Sampler) -> Made:
        return Made(rebuilt(fitted, self.examples.held_out))

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        kept = {"samples": made.values[:PICTURED_POINTS].cpu().numpy()}
        return scores_of_inference(fitted, self.examples, made.values, self.stream("codes")), kept


class InferenceTask(EncodedTask[Any]):
    """What both share: which models can be asked, and what the names of scores mean."""

    def narrowed(self, found: Resolved, model: str, labelled: bool) -> Resolved:
        """A point of a grid whose models draw, for those that infer."""
        recipe = recipe_of(model)
        if found.skip:
            return found
        if recipe.name in RECIPES and not self.fits(recipe):
            reason = f"model '{recipe.name}' has no encoder: choose one that encodes"
            return replace(found, skip=reason, unfit=True)
        given = names_of_inference(recipe.name in BOUNDS, labelled)
        return replace(found, gives=frozenset(given))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric; mmd@codes is that of codes."""
        known = list(names_of_inference(bound=False, labelled=True))
        if name not in known:
            raise UsageError(f"metric '{name}' is not for this task; known: {', '.join(known)}")
        if name == OF_CODES:
            facts = facts_of(AGGREGATE, ("features",))
            return {**facts, "name": name, "title": f"{facts['title']} of codes"}
        return {**facts_of(name, TAKES), "name": name}


class InferenceOfImages(InferenceTask):
    """The dataset is of images; the model encodes and decodes, or is a bound of such."""

    needs = IMAGES
    experiment, others = InferenceExperiment, BOUNDS

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        modules = (__name__, encoded.__name__, inferring.__name__)
        found = resolve_images(parts, settings, InferenceSettings, (), TAKES, modules)
        data = entry_named(parts["dataset"], IMAGES, "task inference", settings.get("size"))
        return self.narrowed(found, parts["model"], bool(data.part.classes))


class InferenceOfPoints(InferenceTask):
    """The dataset is of points; everything but classes is as of images."""

    needs = POINTS
    takes_mixtures = True
    experiment, others = PointsExperiment, ()

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        found = TASKS["mixture"].part.resolve(parts, settings, definition)
        own = (__name__, inferring.__name__, *(entry.origin for entry in scored_by(TAKES)))
        return self.narrowed(replace(found, modules=(*own, *found.modules)), parts["model"], False)

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        return TASKS["mixture"].part.describe(cell)["dataset"]


TASKS.register("inference")(InferenceOfImages())
TASKS.register("inference-points")(InferenceOfPoints())

"""Where a model that draws coarse to fine fails: true coarse images and true residuals put in the
place of drawn ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets import DatasetFacts
from bench.datasets.labelled import LabelledSource
from bench.datasets.named import entry_named
from bench.datasets.pixels import to_bytes
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import Trained, train
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation.experiment import Arrays, Experiment, GenerationTask, Glimpse, Made
from bench.tasks.generation.facts import facts_by_what
from bench.tasks.generation.featurescores import OF_FEATURES, Named, names_given
from bench.tasks.generation.image import (
    IMAGES,
    ImageSettings,
    entry_of,
    resolve_images,
    scores_of,
)
from bench.tasks.generation.imagescores import ImageScores, name_of
from bench.tasks.generation.settings import recipe_of
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import facts_of
from generative import RECIPES, Sampler
from generative.coarsetofine import CoarseToFine, brought, climbed, residuals
from generative.pyramids.box import doubled
from generative.recipes.lapgan import Lapgan
from metrics import METRICS

CONSISTENCY, REFINED = "consistency", "refined"
TAKES = (*OF_FEATURES, "classes", "nearest", REFINED)
PICTURED = 24


class RefinementSettings(ImageSettings):
    """coarse: where the coarse image comes from. residual: what finer levels add: what the model
    draws, nothing, or what they have in another held-out image. level: whose image the coarse one
    is, 0 for the coarsest.
    """

    coarse: Literal["sampled", "held-out"] = "sampled"
    residual: Literal["sampled", "none", "another"] = "sampled"
    level: int = Field(default=0, ge=0, le=7)


OWN = ("coarse", "residual", "level")


def refined(
    model: CoarseToFine, held: Tensor, rng: torch.Generator, asked: RefinementSettings
) -> list[Tensor]:
    """Images of the asked level and of every finer one, coarsest first, as many as there are held
    out images [n, c, h, w]; not clipped. What is drawn does not depend on what is put in its place.
    """
    levels, at = model.levels, asked.level
    z = model.codes(len(held), rng)
    own, drawn = model.parts(z), model.way(z)
    coarse = drawn[at] if asked.coarse == "sampled" else brought(held, len(levels) - 1 - at)
    others = residuals(levels, held.roll(1, 0))

    def residual(level: int, images: Tensor) -> Tensor:
        if asked.residual == "another":
            return others[level]
        found = model.residual(level, images, own[level])
        return found if asked.residual == "sampled" else torch.zeros_like(found)

    with torch.no_grad():
        return climbed(levels, coarse, at, residual)


class RefinementExperiment(Experiment[Sampler, LabelledSource, RefinementSettings]):
    """A model of images, the same that others are scored by, with levels of it replaced."""

    kind, fixed_noise = RefinementSettings, True

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        return entry_of(self.cell)

    @cached_property
    def scores(self) -> ImageScores:
        """What looks at the images."""
        return scores_of(self.cell, self.device)

    @cached_property
    def held(self) -> Tensor:
        """Held-out images, each once before any comes again."""
        return self.source.fresh(self.asked.samples, self.stream("coarse"))

    def train(self, store: ArtifactStore) -> Trained[Sampler]:
        return train(self.order, self.source, store)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse()

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return {}

    def make(self, fitted: Sampler) -> Made:
        if not isinstance(fitted, CoarseToFine):
            raise UsageError(f"a {type(fitted).__name__} draws no levels")
        way = refined(fitted, self.held, self.stream("samples"), self.asked)
        return Made(way[-1].clamp(0, 1), way=tuple(way))

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        looked = self.scores.look(to_bytes(made.values))
        scores = [*self.scores.of(looked, fitted), *_consistencies(made.way)]
        coarse = made.way[0]
        for finer in made.way[1:]:
            coarse = doubled(coarse, finer.shape[2:])
        truth = {"truth": self.held} if self.asked.coarse == "held-out" else {}
        return scores, sheet(PICTURED, inputs=coarse, samples=made.values, **truth)


def _consistencies(way: Iterable[Tensor]) -> Iterator[Named]:
    """Of each level that was added, by its side."""
    arrays = [images.cpu().numpy() for images in way]
    for coarse, fine in pairwise(arrays):
        yield CONSISTENCY, METRICS[CONSISTENCY].part(coarse, fine), f"@{fine.shape[2]}"


def _replaces(settings: Mapping[str, Any]) -> bool:
    """Whether anything is put in the place of what is drawn, so that it matters where."""
    return any(settings.get(name, "sampled") != "sampled" for name in ("coarse", "residual"))


def _given(parts: Mapping[str, str], found: Resolved) -> Iterator[str]:
    """The metrics that a cell can have. Raises UsageError for a level that has no finer one."""
    told, tag = found.settings, found.settings["features"]
    entry = entry_named(parts["dataset"], IMAGES, "task image", told.get("size"))
    sides = [entry.part.source(0).shape[1]]
    for _ in range(told["levels"]):
        sides.insert(0, -(-sides[0] // 2))
    at = told.get("level", 0)
    if at >= told["levels"]:
        raise UsageError(
            f"level: expected 0 to {told['levels'] - 1}, of images of "
            f"{' or '.join(map(str, sides[:-1]))} pixels, which a finer level adds to, got {at}"
        )
    yield from (f"{CONSISTENCY}@{side}" for side in sides[at + 1 :])
    yield from names_given((*OF_FEATURES, "nearest"), tag, extractor_named(name_of(tag)).dims or 0)
    judge = entry.part.judge
    yield from names_given(("classes",), tag) if judge and extractor_named(judge).tag == tag else ()


class RefinementTask(GenerationTask[RefinementExperiment]):
    """The dataset is of images, the model one that draws them coarse to fine."""

    experiment = RefinementExperiment

    def every(self, axis: str) -> list[str]:
        known = TASKS["image"].part.every(axis)
        if axis != "model":
            return known
        return [name for name in known if isinstance(RECIPES[name].part, Lapgan)]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        modules = (__name__, CoarseToFine.__module__)
        own = OWN if _replaces(settings) else OWN[:2]
        found = resolve_images(parts, settings, RefinementSettings, own, TAKES, modules)
        if found.skip:
            return found
        if not isinstance(recipe_of(parts["model"]).part, Lapgan):
            reason = f"model '{parts['model']}' draws no levels: task image"
            return replace(found, skip=reason, unfit=True)
        return replace(found, gives=frozenset(_given(parts, found)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric, under its name and what it rests on: features, or the side
        of the finer images.
        """
        known, _, side = name.partition("@")
        if known == CONSISTENCY:
            if not side.isdecimal():
                raise UsageError(
                    f"metric '{name}': expected {CONSISTENCY}@ and the side of the finer images, "
                    f"such as {CONSISTENCY}@28"
                )
            facts = facts_of(known, TAKES)
            return {**facts, "title": f"{facts['title']} at {side}", "name": name}
        needs = "the features that it rests on@digits-cnn"
        return facts_by_what(name, TAKES, (), needs, lambda e: extractor_named(e).tag)

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        return TASKS["image"].part.describe(cell)["dataset"]


TASKS.register("refinement")(RefinementTask())

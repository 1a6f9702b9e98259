"""Inpainting: hide a part of held-out pictures, let a trained model complete them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.core.registry import Entry
from bench.datasets import DatasetFacts
from bench.datasets.labelled import LabelledSource
from bench.datasets.named import entry_named
from bench.models.generators import Trained, train
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation.experiment import Arrays, Experiment, GenerationTask, Glimpse, Made
from bench.tasks.generation.facts import facts_by_what
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.image import IMAGES, ImageSettings, entry_of, resolve_images
from bench.tasks.generation.imagescores import READING, reading_of
from bench.tasks.generation.settings import recipe_of
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import scored_by
from generative import RECIPES, Completer, Decoder, Sampler
from generative.holes import blocks, centre
from generative.inpainting import Descent, complete
from generative.recipes.context_encoder import TASK
from generative.recipes.references import Reals
from metrics import JUDGES
from metrics.completion import Completion

PICTURED, GREY = 24, 0.5
TAKES = ("completed",)
RANDOM = 0.8
"""The share of pixels that the random mask hides, as the paper does."""


class InpaintingSettings(ImageSettings):
    """mask: what is hidden: the middle quarter, the left half, 80 % of the pixels at random, or
    four squares that may overlap. pictures: how many are completed. descent_steps, descent_rate,
    perceptual, starts: how codes are found (generative.inpainting).
    """

    mask: Literal["centre", "left", "random", "blocks"] = "centre"
    pictures: int = Field(default=64, ge=1, le=10_000)
    descent_steps: int = Field(default=500, ge=0, le=100_000)
    descent_rate: float = Field(default=0.03, gt=0, le=10)
    perceptual: float = Field(default=0.003, ge=0, le=1e6)
    starts: int = Field(default=1_000, ge=1, le=100_000)


OWN = tuple(
    name for name in InpaintingSettings.model_fields if name not in ImageSettings.model_fields
)


def known_pixels(mask: str, height: int, width: int) -> Tensor:
    """Which pixels are not hidden, bool [h, w]."""
    if mask == "centre":
        return centre(height, width)
    if mask == "blocks":
        return blocks(1, height, width, stream("inpainting", "mask"))[0]
    if mask == "random":
        return torch.rand(height, width, generator=stream("inpainting", "mask")) >= RANDOM
    known = torch.ones(height, width, dtype=torch.bool)
    known[:, : width // 2] = False
    return known


class InpaintingExperiment(Experiment[Sampler, LabelledSource, InpaintingSettings]):
    """A model of images, the same that others are scored by, and held-out pictures to complete."""

    kind, fixed_noise = InpaintingSettings, True
    outcome = "completed pictures"

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        return entry_of(self.cell)

    @property
    def pictures(self) -> Tensor:
        """As they are, [n, c, h, w]."""
        return self.source.held_out[: self.asked.pictures]

    @cached_property
    def known(self) -> Tensor:
        """Which pixels are not hidden."""
        return known_pixels(self.asked.mask, *self.source.shape[1:]).to(self.device)

    def train(self, store: ArtifactStore) -> Trained[Sampler]:
        return train(self.order, self.source, store)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse()

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return {}

    def make(self, fitted: Sampler) -> Made:
        rng = self.stream("inpainting")
        return Made(*filled(fitted, self.pictures, self.known, rng, self.asked))

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        hidden = torch.where(self.known, self.pictures, torch.full_like(self.pictures, GREY))
        kept = sheet(PICTURED, inputs=hidden, samples=made.values, truth=self.pictures)
        return self._scores(made), kept

    def _scores(self, made: Made) -> Iterator[Named]:
        """Against the true pictures, and by what the judge of such images reads in both."""
        judge, both = entry_of(self.cell).part.judge, (self.pictures, made.values)
        read = [reading_of(judge, images).labels if judge else None for images in both]
        own = None if made.drawn is None else made.drawn.cpu().numpy()
        found = Completion(made.values.cpu().numpy(), own, self.known.cpu().numpy(), *read)
        for entry in scored_by(TAKES):
            with suppress(UsageError):
                score = entry.part(self.pictures.cpu().numpy(), found)
                yield entry.name, score, _suffix(entry.name, judge)


def _suffix(metric: str, judge: str) -> str:
    """What a metric's name on a row ends with: the judge that reads for it."""
    return f"@{JUDGES[judge].part.tag}" if metric == READING and judge else ""


def _given(parts: Mapping[str, str], found: Resolved) -> Iterator[str]:
    """The metrics that a cell can have: what is read where the data have a judge."""
    judge = entry_named(
        parts["dataset"], IMAGES, "task image", found.settings.get("size")
    ).part.judge
    for entry in scored_by(TAKES):
        if judge or entry.name != READING:
            yield entry.name + _suffix(entry.name, judge)


def filled(
    model: Sampler, pictures: Tensor, known: Tensor, rng: torch.Generator, asked: InpaintingSettings
) -> tuple[Tensor, Tensor | None]:
    """Completed pictures, and what the model itself drew, where it draws."""
    if isinstance(model, Reals):
        return pictures, pictures
    if isinstance(model, Completer):
        return model.complete(pictures, known), None
    if isinstance(model, Decoder):
        descent = Descent(
            steps=asked.descent_steps,
            rate=asked.descent_rate,
            perceptual=asked.perceptual,
            starts=asked.starts,
        )
        found = complete(model, pictures, known, rng, descent)
        return found.images, found.drawn
    drawn = model.sample(asked.starts, rng)
    gaps = torch.stack([(known * (drawn - own)).abs().flatten(1).sum(1) for own in pictures])
    nearest = drawn[gaps.argmin(1)]
    return torch.where(known, pictures, nearest), nearest


class InpaintingTask(GenerationTask[InpaintingExperiment]):
    """The dataset is of images. A model that decodes codes is searched for the best; one that
    completes in closed form does; the oracle knows the truth; of any other the sample is taken
    that fits best.
    """

    experiment = InpaintingExperiment

    def every(self, axis: str) -> list[str]:
        known = TASKS["image"].part.every(axis)
        if axis != "model":
            return known
        return [*known, *(e.name for e in RECIPES.entries() if e.facts.restores == TASK)]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        modules = (__name__, complete.__module__, centre.__module__)
        found = resolve_images(parts, settings, InpaintingSettings, OWN, TAKES, modules, TASK)
        facts = recipe_of(parts["model"]).facts
        if facts.labelled and not (facts.restores or found.skip):
            reason = f"model '{parts['model']}' would have to be told the class of each picture"
            return replace(found, skip=reason, unfit=True)
        return found if found.skip else replace(found, gives=frozenset(_given(parts, found)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric; of one that a judge gives, under its name and hash."""
        alone = [entry.name for entry in scored_by(TAKES) if entry.name != READING]
        needs = "its judge@digits-cnn"
        return facts_by_what(name, TAKES, alone, needs, lambda judge: JUDGES[judge].part.tag)

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        return TASKS["image"].part.describe(cell)["dataset"]


TASKS.register("inpainting")(InpaintingTask())

"""Anomalies: train a model on every class but one, and see whether it tells that one apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets import DatasetFacts
from bench.datasets.labelled import Labelled, LabelledSource
from bench.datasets.named import entry_named
from bench.models.generators import Trained, train
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation.experiment import Arrays, Experiment, GenerationTask, Glimpse, Made
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.image import ImageSettings, entry_of, resolve_images
from bench.tasks.generation.imagescores import reading_of
from bench.tasks.generation.inferring import rebuilt
from bench.tasks.generation.settings import recipe_of
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import facts_of
from generative import RECIPES, Autoencoder, Perceiver, Sampler
from generative.anomalies import Search, searched
from generative.recipes.adversarial import Adversarial
from generative.recipes.bounds import OneImage
from generative.recipes.references import Reals
from metrics import METRICS

CLASSES = frozenset({"images", "classes"})
METRIC, TAKES = "auroc", ("anomalies",)
PARTS = ("residual", "discrimination")
"""What the sum of a search is made of, each a score by itself."""
BOUNDS = ("oracle", "one-image")
PICTURED = 12


class AnomalySettings(ImageSettings):
    """left_out: the class that nothing is trained on. pictures: how many held-out images of it, and
    of all others, are told apart. descent_steps, descent_rate, discrimination, starts: how codes
    are searched (generative.anomalies).
    """

    protocol: str = "small-dcgan"
    features: str = "pixels"
    left_out: int = Field(default=0, ge=0)
    pictures: int = Field(default=100, ge=2, le=10_000)
    descent_steps: int = Field(default=200, ge=0, le=100_000)
    descent_rate: float = Field(default=0.03, gt=0, le=10)
    discrimination: float = Field(default=0.1, ge=0, le=1)
    starts: int = Field(default=100, ge=1, le=100_000)


OWN = tuple(name for name in AnomalySettings.model_fields if name not in ImageSettings.model_fields)
SEARCHING = ("descent_steps", "descent_rate", "discrimination", "starts")
"""Of models whose codes are searched."""


def without(data: Labelled, left_out: int) -> Labelled:
    """The same images without a class. Raises UsageError for one that the data don't have."""
    if not 0 <= left_out < data.classes:
        last = data.classes - 1
        raise UsageError(
            f"left_out: expected a class of '{data.name}', 0 to {last}, got {left_out}"
        )
    if data.classes < 2:
        raise UsageError(f"'{data.name}' has one class: nothing is left without it")
    rest = tuple(label for index, label in enumerate(known_as(data)) if index != left_out)
    return replace(data, only=rest, classes=len(rest))


def known_as(data: Labelled) -> tuple[int, ...]:
    """What each class of some images is to whoever knows them all: the number that it had before
    others were dropped.
    """
    return data.only or tuple(range(data.classes))


def _fingerprint(data: Labelled, left_out: int) -> str:
    """Of all the images, and of which of them are trained on."""
    return hashlib.sha256(f"{data.fingerprint}|without|{left_out}".encode()).hexdigest()


class AnomalyExperiment(Experiment[Sampler, LabelledSource, AnomalySettings]):
    """A model of all classes but one, and held-out images of both."""

    kind, fixed_noise, boxed = AnomalySettings, True, False
    outcome = "nearest images"

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        found = entry_of(self.cell)
        return replace(found, part=without(found.part, self.asked.left_out))

    @cached_property
    def pictures(self) -> tuple[Tensor, Tensor]:
        """Held-out images that belong, and such that don't, [n, c, h, w] each: the first."""
        whole: LabelledSource = entry_of(self.cell).part.source(self.cell.seed, self.device)
        strange = whole.held_out_labels == self.asked.left_out
        most = self.asked.pictures
        return whole.held_out[~strange][:most], whole.held_out[strange][:most]

    def train(self, store: ArtifactStore) -> Trained[Sampler]:
        return train(self.order, self.source, store)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse()

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return {}

    @cached_property
    def both(self) -> Tensor:
        """The pictures that belong, then the others."""
        return torch.cat(self.pictures)

    def make(self, fitted: Sampler) -> Made:
        """The nearest image that a model can make of each; drawn: its scores, a row each for the
        sum and what it is made of.
        """
        images, asked = self.both, self.asked
        if isinstance(fitted, Reals):
            return Made(images, drawn=self._judged(images)[None])
        if isinstance(fitted, Autoencoder | OneImage):
            made = rebuilt(fitted, images, "anomaly")
            return Made(made, drawn=(made - images).square().flatten(1).sum(1)[None])
        if not isinstance(fitted, Perceiver):
            raise UsageError(
                f"a {type(fitted).__name__} neither encodes nor has a critic whose features can be "
                "asked for: task anomaly needs one that does"
            )
        search = Search(
            steps=asked.descent_steps,
            rate=asked.descent_rate,
            discrimination=asked.discrimination,
            starts=asked.starts,
        )
        found = searched(fitted, images, self.stream("anomaly"), search)
        return Made(
            found.drawn, drawn=torch.stack([found.score, found.residual, found.discrimination])
        )

    def _judged(self, images: Tensor) -> Tensor:
        """How sure a judge that knows every class is of the one that is left out."""
        data = entry_named(self.cell.part("dataset"), CLASSES, "task anomaly").part
        reading = reading_of(data.judge, images)
        wanted = known_as(data)[self.asked.left_out]
        sure = np.where(reading.labels == wanted, reading.confidences, -reading.confidences)
        return torch.from_numpy(sure).to(images)

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        assert made.drawn is not None
        scores, belonging = made.drawn.cpu().double().numpy(), len(self.pictures[0])
        named = zip(("", *(f"@{part}" for part in PARTS)), scores, strict=False)
        found = [
            (METRIC, METRICS[METRIC].part(values[:belonging], values[belonging:]), suffix)
            for suffix, values in named
        ]
        first, others = torch.arange(len(self.both)).split([belonging, len(self.pictures[1])])
        chosen = torch.cat([first[:PICTURED], others[:PICTURED]])
        inputs, samples = self.both[chosen], made.values[chosen].clamp(0, 1)
        return found, sheet(len(chosen), inputs=inputs, samples=samples)


def searches(recipe: Entry[Any, Any]) -> bool:
    """Whether a model's codes are searched, and its critic says what it sees of one example."""
    part, facts = recipe.part, recipe.facts
    plain = isinstance(part, Adversarial) and not (part.critic or part.generator or part.view)
    return plain and not (facts.labelled or facts.captioned or facts.points_only)


def fits(recipe: Entry[Any, Any]) -> bool:
    """Whether a registered model can be asked."""
    return recipe.facts.encodes or recipe.name in BOUNDS or searches(recipe)


def _given(model: Entry[Any, Any]) -> Iterator[str]:
    yield METRIC
    yield from (f"{METRIC}@{part}" for part in PARTS if searches(model))


class AnomalyTask(GenerationTask[AnomalyExperiment]):
    """The dataset is of images with classes. Held-out images that a model rebuilds badly don't
    belong: by its own code, or by the best that a search finds of a GAN. The oracle is a judge that
    has seen every class.
    """

    needs = CLASSES
    experiment = AnomalyExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return [entry.name for entry in RECIPES.entries() if fits(entry)]
        return TASKS["image"].part.every(axis)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        size = settings.get("size")
        data = entry_named(parts["dataset"], CLASSES, "task anomaly", size).part
        recipe = recipe_of(parts["model"])
        own = OWN if searches(recipe) else tuple(name for name in OWN if name not in SEARCHING)
        modules = (__name__, searched.__module__, rebuilt.__module__)
        found = resolve_images(parts, settings, AnomalySettings, own, TAKES, modules)
        if found.skip:
            return found
        if recipe.name in RECIPES and not fits(recipe):
            return replace(found, skip=f"model '{recipe.name}' can't say what does not belong")
        if parts["model"] == BOUNDS[0] and not data.judge:
            return replace(found, skip=f"no judge reads the images of '{parts['dataset']}'")
        left_out = found.settings["left_out"]
        without(data, left_out)
        fingerprint = _fingerprint(data, left_out)
        return replace(found, fingerprint=fingerprint, gives=frozenset(_given(recipe)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Of auroc, and of auroc@residual and auroc@discrimination, what a search's sum is of."""
        known, _, part = name.partition("@")
        facts = facts_of(known, TAKES)
        if not part:
            return {**facts, "name": known}
        if part not in PARTS:
            expected = " or ".join(f"{known}@{each}" for each in PARTS)
            raise UsageError(f"metric '{name}' is none: expected {known}, {expected}")
        return {**facts, "name": name, "title": f"{facts['title']}, {part}"}

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        return TASKS["image"].part.describe(cell)["dataset"]


TASKS.register("anomaly")(AnomalyTask())

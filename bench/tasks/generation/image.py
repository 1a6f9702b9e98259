"""Images: train a model on real ones, and score what it draws against them."""

from __future__ import annotations

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
from bench.datasets import DATASETS, DatasetFacts
from bench.datasets.labelled import LabelledSource
from bench.datasets.named import entry_named, names_with
from bench.datasets.pixels import to_bytes
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import Trained
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation.bounds import bounds, held_out_of
from bench.tasks.generation.codescores import (
    INFORMED,
    MATCHED,
    SORTED,
    scored_codes,
    scored_sorting,
)
from bench.tasks.generation.experiment import (
    Arrays,
    DrawingExperiment,
    DrawingTask,
    Glimpse,
    Made,
    watched,
)
from bench.tasks.generation.facts import describe_images, facts_by_what, modules_of
from bench.tasks.generation.featurescores import OF_FEATURES, Named, names_given
from bench.tasks.generation.imagescores import (
    KEPT,
    TAKES,
    ImageScores,
    kept_by,
    name_of,
    reading_of,
    refuse_colour,
    usual_extractor,
)
from bench.tasks.generation.insidescores import (
    PATHS,
    SPECTRUM,
    scored_layers,
    scored_ways,
)
from bench.tasks.generation.journeys import OF_PLAY, TRAJECTORY
from bench.tasks.generation.massscores import MASSES, PASSES, scored_masses
from bench.tasks.generation.settings import (
    DrawingSettings,
    Target,
    models_for,
    read_settings,
    resolve_drawing,
)
from bench.tasks.values import checked
from generative import ConditionalSampler, Sampler
from metrics import JUDGES

IMAGES = frozenset({"images"})
PICTURED = 64
BESIDE = 20
"""How many samples are shown beside the training images that are most like them."""
ALONE = ("latent", KEPT, PASSES, MASSES, SPECTRUM, INFORMED, SORTED, *OF_PLAY)
"""What rests on no features."""
LEAST_SAMPLES, MOST_SAMPLES = 100, 10_000
EXAMPLE = (1, 28, 28)
"""The shape that images which are not here are taken to have."""


class ImageSettings(DrawingSettings):
    """size: the side that images are brought to, None for as they come. features: the extractor
    whose features the scores rest on, empty for the data's judge, lite0 or pixels.
    """

    protocol: str = "dcgan-32"
    size: int | None = Field(default=None, ge=4, le=4096)
    features: str = ""


def resolve_images(
    parts: Mapping[str, str],
    settings: Mapping[str, Any],
    kind: type[ImageSettings],
    own: tuple[str, ...],
    takes: tuple[str, ...],
    modules: tuple[str, ...],
    restores: str = "",
) -> Resolved:
    """A point of a grid of models of images. own: the settings of a kind that are a task's own.
    restores: the task, where images are repaired in it. Raises UsageError for images that can't be
    had.
    """
    name, chosen = parts["dataset"], checked(kind, settings)
    entry = entry_named(name, IMAGES, "task image", chosen.size)
    data = entry.part
    part = extractor_named(usual_extractor(data, chosen.features))
    shape = EXAMPLE
    if not data.missing:
        shape = data.source(0).shape
        if not len(data.split.images):
            raise UsageError(f"dataset '{name}' has no images to train on: all of it is held out")
        refuse_colour(part, shape[0])
    held = 0 if data.missing else len(data.split.held_images)
    usual = {"samples": max(LEAST_SAMPLES, min(MOST_SAMPLES, held))}
    asked = read_settings(kind, settings, usual)
    seen = {name: getattr(asked, name) for name in ("size", "features")}
    target = Target(
        shape=shape,
        fingerprint=data.fingerprint,
        modules=(*modules, __name__, type(part).__module__),
        data_modules=modules_of(entry),
        takes=takes,
        own={key: value for key, value in seen.items() if value}
        | {name: getattr(asked, name) for name in own},
        rests={"features": part.tag},
        seconds=1e-3 * asked.samples,
        skip=data.missing or part.missing,
        restores=restores,
        labelled=data.classes > 0,
        moded=data.missing != "" or data.classes > 0,
    )
    return resolve_drawing(target, parts["model"], asked, kind(samples=usual["samples"]))


class ImageExperiment(DrawingExperiment[LabelledSource, ImageSettings]):
    """A model of images."""

    kind, fixed_noise = ImageSettings, True

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        return entry_of(self.cell)

    @cached_property
    def scores(self) -> ImageScores:
        """What looks at its samples."""
        return scores_of(self.cell, self.device)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse(*self.scores.glance(torch.from_numpy(snapshot)))

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return watched(trained)

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        images = to_bytes(made.values)
        looked = self.scores.look(images)
        held_out = held_out_of(self.source, self.cell, self.device)
        scores = [
            *self.scores.of(looked, fitted),
            *bounds(held_out, fitted, self.cell, self.device),
            *kept_by(fitted),
            *scored_masses(fitted, self.source.held_out, self.stream("masses")),
            *scored_layers(fitted),
            *self._walked(fitted),
            *self._informed(fitted),
            *scored_sorting(fitted, *self._known, self.source.classes),
        ]
        digits = {} if looked.counts is None else {"digits": looked.counts.digits}
        nearest = {"nearest": self.scores.beside(looked, BESIDE)}
        return scores, {"samples": _pictured(images, fitted), **digits, **nearest}

    def _walked(self, fitted: Sampler) -> Iterator[Named]:
        """Ways between codes, in the features of the judge that reads such images."""
        name = self.scores.judge
        if name:

            def features(images):
                return reading_of(name, images).features

            tag = JUDGES[name].part.tag
            yield from scored_ways(fitted, features, tag, self.stream("ways"))

    @property
    def _known(self) -> tuple[Tensor, Tensor]:
        """Held-out images and their classes, as many as samples are scored."""
        n = self.asked.samples
        return self.source.held_out[:n], self.source.held_out_labels[:n]

    def _informed(self, fitted: Sampler) -> Iterator[Named]:
        """What codes say, by the model's own reader and by the judge that reads such images."""
        name = self.scores.judge
        labelling = (lambda images: reading_of(name, images).labels) if name else None
        tag = JUDGES[name].part.tag if name else ""
        rng = self.stream("said")
        yield from scored_codes(fitted, self.asked.samples, rng, labelling, tag)


def _pictured(images: Tensor, fitted: Sampler) -> np.ndarray:
    """The first samples; where they are of every class in turn, ten of each."""
    classes = fitted.classes if isinstance(fitted, ConditionalSampler) else 0
    return images[: 10 * classes or PICTURED].cpu().numpy()


class ImageTask(DrawingTask):
    """The dataset is of images: registered, torchvision:NAME or folder:PATH.

    Scored by default: as many samples as there are held-out images, 10,000 at most, so that every
    row, the oracle's too, has as many distinct ones.
    """

    needs = IMAGES
    experiment = ImageExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return models_for("images")
        return [name for name in names_with(self.needs) if DATASETS[name].facts.judge]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        found = resolve_images(parts, settings, ImageSettings, (), TAKES, ())
        return found if found.skip else replace(found, gives=frozenset(_given(parts, found)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric, under its name and what it rests on."""
        needs = "the features that it rests on@digits-cnn"
        return facts_by_what(
            name,
            TAKES,
            ALONE,
            needs,
            lambda e: extractor_named(e).tag,
        )

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        entry = entry_of(cell)
        colour = not entry.part.missing and entry.part.source(0).shape[0] == 3
        return describe_images(entry, colour)


def _given(parts: Mapping[str, str], found: Resolved) -> Iterator[str]:
    """The metrics that a cell can have: of classes where the data's judge reads the samples."""
    tag, size = found.settings["features"], found.settings.get("size")
    judge = entry_named(parts["dataset"], IMAGES, "task image", size).part.judge
    read = judge and extractor_named(judge).tag == tag
    yield from names_given((*OF_FEATURES, "nearest"), tag, extractor_named(name_of(tag)).dims or 0)
    judged = ("classes", "asked", "within", MATCHED, TRAJECTORY, PATHS)
    yield from names_given(judged, tag) if read else ()
    yield from names_given(ALONE)


def scores_of(cell: Cell, device: str) -> ImageScores:
    """What looks at the samples of a cell."""
    extractor = name_of(cell.settings["features"])
    size = cell.settings.get("size")
    return ImageScores(cell.part("dataset"), size, extractor, cell.seed, device)


def entry_of(cell: Cell) -> Entry[Any, DatasetFacts]:
    """The images of a cell, at its size."""
    return entry_named(cell.part("dataset"), IMAGES, "task image", cell.settings.get("size"))


TASKS.register("image")(ImageTask())

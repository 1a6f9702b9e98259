"""Few labels: a model is told the classes of some images, and says those of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.core.registry import Entry
from bench.datasets import DATASETS, DatasetFacts
from bench.datasets.few import FEW as PREFIX
from bench.datasets.few import LABELS, Few, FewSource
from bench.datasets.named import entry_named, names_with
from bench.datasets.pixels import to_bytes
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import Trained, restored, trained_as
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Resolved, SamplingTask
from bench.tasks.generation.experiment import Arrays, Experiment, GenerationTask, Glimpse, Made
from bench.tasks.generation.facts import describe_images, facts_by_what, modules_of
from bench.tasks.generation.featurescores import OF_FEATURES, Named, names_given
from bench.tasks.generation.image import EXAMPLE, LEAST_SAMPLES, MOST_SAMPLES, ImageSettings
from bench.tasks.generation.imagescores import ImageScores, name_of, usual_extractor
from bench.tasks.generation.inpainting import GREY, PICTURED, known_pixels
from bench.tasks.generation.settings import Target, read_settings, recipe_of, resolve_drawing
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import checked, scored_by
from generative import RECIPES, Completer, ConditionalSampler, Labeller, Sampler

FEW = frozenset({"few"})
LABELLED = "labelled"
OF_SAMPLES = ("classes", "asked", "nearest", "within")
TAKES = (LABELLED, *OF_FEATURES, *OF_SAMPLES)
CHUNK, SHEET = 500, 64


class FewSettings(ImageSettings):
    """labels: how many images have a class, as many of each; the paper's 100 where nothing is said.
    What the model draws is scored too, where it draws.
    """

    protocol: str = "small-dcgan"
    labels: int = Field(default=LABELS, ge=1, le=10_000_000)


def labels_said(fitted: Labeller, images: Tensor) -> Tensor:
    """The likeliest class of each image by the model, int64 [n]."""
    with torch.no_grad():
        return torch.cat([fitted.classify(part).argmax(1) for part in images.split(CHUNK)])


class FewExperiment(Experiment[Labeller, FewSource, FewSettings]):
    """All held-out images, and what the model draws."""

    kind, fixed_noise = FewSettings, True
    outcome = "class probabilities"
    boxed = False

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        return entry_of(self.cell)

    @cached_property
    def scores(self) -> ImageScores:
        """What looks at samples, against all images."""
        name = self.cell.part("dataset")
        base = name.removeprefix(PREFIX) if name.startswith(PREFIX) else self.entry.part.base.name
        extractor = name_of(self.cell.settings["features"])
        size = self.cell.settings.get("size")
        return ImageScores(base, size, extractor, self.cell.seed, self.device)

    def train(self, store: ArtifactStore) -> Trained[Labeller]:
        def look(fitted: Labeller, step: int) -> Tensor:
            return labels_said(fitted, self.source.held_out).cpu()

        return trained_as(Labeller, self.order, self.source, store, look)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse(list(self._errors(snapshot)))

    def shown(self, trained: Trained[Labeller]) -> Arrays:
        return {}

    def make(self, fitted: Labeller) -> Made:
        held = self.source.held_out
        with torch.no_grad():
            return Made(torch.cat([fitted.classify(part) for part in held.split(CHUNK)]))

    def score(self, fitted: Labeller, made: Made) -> tuple[Iterable[Named], Arrays]:
        errors = list(self._errors(made.values.argmax(1).cpu().numpy()))
        if isinstance(fitted, Completer):
            return errors, self._completed(fitted)
        if not isinstance(fitted, Sampler):
            return errors, {}
        images = to_bytes(fitted.sample(self.asked.samples, self.stream("samples")))
        classes = fitted.classes if isinstance(fitted, ConditionalSampler) else 0
        shown = images[: 10 * classes or SHEET].cpu().numpy()
        return [*errors, *self.scores.of(self.scores.look(images), fitted)], {"samples": shown}

    def _errors(self, said: np.ndarray) -> Iterator[Named]:
        """Of what a model says of all held-out images."""
        truth = self.source.held_out_labels.cpu().numpy()
        for entry in scored_by((LABELLED,)):
            yield entry.name, entry.part(truth, said), ""

    def _completed(self, fitted: Completer) -> Arrays:
        """Held-out images whose middle was hidden, as a model fills it."""
        truth = self.source.held_out[:PICTURED]
        known = known_pixels("centre", *self.source.shape[1:]).to(self.device)
        hidden = torch.where(known, truth, torch.full_like(truth, GREY))
        made = fitted.complete(truth, known)
        return sheet(PICTURED, inputs=hidden, samples=made, truth=truth)


class FewTask(GenerationTask[FewExperiment], SamplingTask):
    """The dataset has few labels, the model classifies."""

    needs = FEW
    experiment = FewExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return [entry.name for entry in RECIPES.entries() if entry.facts.classifies]
        return [name for name in names_with(self.needs) if not DATASETS[name].facts.large]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        entry = _named(parts["dataset"], checked(FewSettings, settings))
        data: Few = entry.part
        held = 0 if data.missing else len(data.base.split.held_images)
        usual = {"samples": max(LEAST_SAMPLES, min(MOST_SAMPLES, held))}
        asked = read_settings(FewSettings, settings, usual)
        part = extractor_named(usual_extractor(data.base, asked.features))
        size = {"size": asked.size} if asked.size else {}
        chosen = {"features": asked.features} if asked.features else {}
        target = Target(
            shape=EXAMPLE if data.missing else data.base.source(0).shape,
            fingerprint=data.fingerprint,
            modules=(__name__, type(part).__module__, ImageScores.__module__),
            data_modules=modules_of(entry),
            takes=TAKES,
            own={"labels": asked.labels, **size, **chosen},
            rests={"features": part.tag},
            seconds=2.0,
            skip=data.missing or part.missing,
            labelled=True,
            few=True,
        )
        found = resolve_drawing(
            target, parts["model"], asked, FewSettings(samples=usual["samples"])
        )
        if found.skip:
            return found
        draws = recipe_of(parts["model"]).facts.draws
        return replace(found, gives=frozenset(_given(data, found, draws)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric; of one of samples under its name and what it rests on."""
        needs = "the features that it rests on@digits-cnn"
        return facts_by_what(name, TAKES, (LABELLED,), needs, lambda e: extractor_named(e).tag)

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        entry = entry_of(cell)
        colour = not entry.part.missing and entry.part.source(0).shape[0] == 3
        return describe_images(entry, colour)

    def fitted(self, cell: Cell, bench: Bench) -> Labeller:
        at_work = self.experiment(cell, bench.device)
        return restored(Labeller, at_work.order, at_work.source, bench.artifacts)

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        at_work = self.experiment(cell, bench.device)
        found = restored(Sampler, at_work.order, at_work.source, bench.artifacts)
        drawn = found.sample(max(n, at_work.asked.samples), at_work.stream("samples"))[:n]
        return to_bytes(drawn).cpu().numpy()


def _given(data: Few, found: Resolved, draws: bool) -> Iterator[str]:
    """The metrics that a cell can have: of samples where the model draws any."""
    yield from names_given((LABELLED,))
    if not draws:
        return
    tag = found.settings["features"]
    yield from names_given((*OF_FEATURES, "nearest"), tag, extractor_named(name_of(tag)).dims or 0)
    if data.base.judge and extractor_named(data.base.judge).tag == tag:
        yield from names_given(("classes", "asked", "within"), tag)


def _named(name: str, asked: FewSettings) -> Entry[Any, DatasetFacts]:
    """A data set with as many labels as are asked for."""
    entry = entry_named(name, FEW, "task few-labels", asked.size)
    return replace(entry, part=entry.part.with_labels(asked.labels))


def entry_of(cell: Cell) -> Entry[Any, DatasetFacts]:
    """The data of a cell."""
    told = {name: cell.settings[name] for name in ("labels", "size") if name in cell.settings}
    return _named(cell.part("dataset"), FewSettings(**told))


TASKS.register("few-labels")(FewTask())

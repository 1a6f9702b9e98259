"""Text to image: train a model that is told captions, and ask whether its samples show them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import Notice
from bench.core.randomness import stream
from bench.core.registry import Entry
from bench.datasets import DatasetFacts
from bench.datasets.captioned import Captioned, CaptionedSource
from bench.datasets.encoders import ENCODERS
from bench.datasets.named import entry_named, names_with
from bench.datasets.pixels import to_bytes
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import Trained, restored, trained_as
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Resolved, SamplingTask
from bench.tasks.generation.captionscores import CaptionScores, over_matching
from bench.tasks.generation.experiment import (
    Arrays,
    Experiment,
    GenerationTask,
    Glimpse,
    Made,
    watched,
)
from bench.tasks.generation.facts import describe_images, facts_by_what, modules_of
from bench.tasks.generation.featurescores import OF_FEATURES, Named, feature_scores, names_given
from bench.tasks.generation.imagescores import features_of
from bench.tasks.generation.settings import (
    DrawingSettings,
    Target,
    read_settings,
    recipe_of,
    resolve_drawing,
)
from generative import RECIPES, CaptionDecoder, CaptionSampler
from metrics.judges.towers import TOWERS

CAPTIONS = frozenset({"captions"})
JUDGED, ALONE = ("told", "excess"), ("measured", "spreads", "paired")
TAKES = (*OF_FEATURES, *JUDGED, "told_apart", *ALONE)
WATCHED = 200
"""Held-out captions of which samples are looked at on the way."""
ROWS = COLUMNS = 10
HELD_OUT = 1_000
ENCODER = "captions-towers"


class TextSettings(DrawingSettings):
    """Of a model that is told captions. samples: as many as there are held-out images, so that the
    real pairs have as many distinct ones; theirs are the captions that are asked for, in turn.
    encoder: what turns captions into the vectors that models are told.
    """

    protocol: str = "small-dcgan"
    samples: int = HELD_OUT
    encoder: str = ENCODER


class TextExperiment(Experiment[CaptionSampler, CaptionedSource, TextSettings]):
    """A model, and the captions of held-out images."""

    kind, fixed_noise = TextSettings, True

    def open_entry(self) -> Entry[Captioned, DatasetFacts]:
        return _told(self.cell.part("dataset"), self.asked.encoder)

    @cached_property
    def scores(self) -> CaptionScores:
        """What looks at its samples."""
        return CaptionScores(self.entry.part, self.source)

    def captions(self, n: int) -> Tensor:
        """Of held-out images, in turn, int64 [n, words]."""
        known = self.source.held_captions
        return known[torch.arange(n, device=known.device) % len(known)]

    def train(self, store: ArtifactStore) -> Trained[CaptionSampler]:
        asked = self.captions(WATCHED)
        purpose = (*self.order.purpose(), "snapshot")

        def look(fitted: CaptionSampler, step: int) -> Tensor:
            rng = stream(*purpose, device=self.device)
            samples = fitted.sample(WATCHED, rng, asked).cpu()
            return to_bytes(samples) if bool(torch.isfinite(samples).all()) else samples

        return trained_as(CaptionSampler, self.order, self.source, store, look)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        images = torch.from_numpy(snapshot).to(self.device)
        return Glimpse(self.scores.glance(images, self.captions(WATCHED)))

    def shown(self, trained: Trained[CaptionSampler]) -> Arrays:
        return watched(trained)

    def make(self, fitted: CaptionSampler) -> Made:
        n = self.asked.samples
        return Made(fitted.sample(n, self.stream("samples"), self.captions(n)))

    def score(self, fitted: CaptionSampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        images, captions = to_bytes(made.values), self.captions(len(made.values))
        part = extractor_named(self.entry.part.judge)
        real = to_bytes(self.source.training)
        sets = [features_of(part, x, self.device) for x in (real, images)]
        told = self.scores.told(images, captions)
        scores = [
            *feature_scores(sets[0], sets[1], part.tag),
            *self.scores.of(told, fitted, self.stream("spreads")),
        ]
        for name, score, _ in scores:
            if name == "excess_match" and (said := over_matching(score)):
                warnings.warn(said, Notice, stacklevel=2)
        return scores, {"samples": self._sheet(fitted)}

    def _sheet(self, fitted: CaptionSampler) -> np.ndarray:
        """A row for a caption of each digit, which is the first held-out image's; a column for each
        draw of the noise.
        """
        known = self.source.held_captions
        first = [int((known[:, -1] == digit).nonzero()[0]) for digit in known[:, -1].unique()]
        captions = known[first].repeat_interleave(COLUMNS, 0)
        rng = self.stream("sheet")
        if isinstance(fitted, CaptionDecoder):
            codes = fitted.codes(COLUMNS, rng).repeat(len(first), 1)
            return to_bytes(fitted.decode(codes, captions)).cpu().numpy()
        return to_bytes(fitted.sample(len(captions), rng, captions)).cpu().numpy()


class TextTask(GenerationTask[TextExperiment], SamplingTask):
    """The dataset has captions, and the model is told them."""

    needs = CAPTIONS
    experiment = TextExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return [entry.name for entry in RECIPES.entries() if entry.facts.captioned]
        return names_with(self.needs)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked = read_settings(TextSettings, settings)
        entry = _told(parts["dataset"], asked.encoder)
        data = entry.part
        judge, towers = extractor_named(data.judge), TOWERS[data.towers].part
        target = Target(
            shape=data.source(0).shape,
            fingerprint=data.fingerprint,
            modules=(__name__, CaptionScores.__module__, type(judge).__module__),
            data_modules=(*modules_of(entry), ENCODERS[asked.encoder].origin),
            takes=TAKES,
            own={"encoder": asked.encoder},
            skip=data.told.missing,
            rests={"features": judge.tag, "towers": towers.tag},
            seconds=5.0,
            moded=False,
            captioned=True,
        )
        found = resolve_drawing(target, parts["model"], asked, TextSettings())
        if found.skip:
            return found
        trained = "steps" in recipe_of(parts["model"]).part.relevant(asked.training())
        return replace(found, gives=frozenset(_given(data, trained)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric, under its name and what it rests on."""

        def tag_of(what: str) -> str:
            return TOWERS[what].part.tag if what in TOWERS else extractor_named(what).tag

        needs = "the network that it rests on@digits-cnn"
        return facts_by_what(name, TAKES, ALONE, needs, tag_of)

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        return describe_images(_named(cell.part("dataset")), colour=False)

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        at_work = self.experiment(cell, bench.device)
        n_scored = max(n, at_work.asked.samples)
        captions = at_work.captions(n_scored)
        drawn = self.fitted(cell, bench).sample(n_scored, at_work.stream("samples"), captions)
        return to_bytes(drawn[:n]).cpu().numpy()

    def fitted(self, cell: Cell, bench: Bench) -> CaptionSampler:
        at_work = self.experiment(cell, bench.device)
        return restored(CaptionSampler, at_work.order, at_work.source, bench.artifacts)


def _given(data: Captioned, trained: bool) -> Iterator[str]:
    """The metrics that a cell can have: a critic's of models that have one."""
    part = extractor_named(data.judge)
    yield from names_given((*OF_FEATURES, *JUDGED), part.tag, part.dims or 0)
    yield from names_given(("told_apart",), TOWERS[data.towers].part.tag)
    yield from names_given(("measured", "spreads", *(("paired",) if trained else ())))


def _told(name: str, encoder: str) -> Entry[Captioned, DatasetFacts]:
    """A data set whose captions are told by an encoder."""
    entry = _named(name)
    return replace(entry, part=replace(entry.part, encoder=encoder))


def _named(name: str) -> Entry[Captioned, DatasetFacts]:
    return entry_named(name, CAPTIONS, "task text-to-image")


TASKS.register("text-to-image")(TextTask())

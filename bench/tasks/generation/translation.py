"""Translation: train a model to map one domain of images to another, score what it makes of
held-out images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from bench.datasets import DATASETS, DatasetFacts
from bench.datasets.named import entry_named, names_with
from bench.datasets.pairs import Pairs, PairSource
from bench.datasets.pixels import to_bytes
from bench.extractors.base import Extractor
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import Trained, restored, trained_as
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Resolved, SamplingTask
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
from bench.tasks.generation.imagescores import OF_MASKS, READING, features_of, read_alike
from bench.tasks.generation.settings import (
    Target,
    derive_settings,
    recipe_of,
    resolve,
    unmeasured,
)
from bench.tasks.values import checked, scored_by
from generative import RECIPES, TRANSLATION_PROTOCOLS, Recipe, RecipeFacts, Training, Translator
from metrics import JUDGES
from metrics.judges.segmenter import SEGMENTERS
from metrics.translation import Translated

DOMAINS = frozenset({"domains"})
PICTURED, WATCHED, DRAWS = 16, 8, 4
MOST = 10_000
TAKES = (*OF_FEATURES, "translated", "segmented", "completed")
SPREAD = "noise_spread"
"""The one comparison that needs no true partners."""
PALETTE = "palette"
"""What reads label maps: the class of the nearest colour."""


class TranslationSettings(derive_settings("translating")):
    """Of a translator; an empty protocol is what is usual for the model. size: the side that images
    are brought to. direction: what is scored.
    """

    family = "translating"
    protocol: str = ""
    size: int | None = Field(default=None, ge=8, le=4096)
    direction: Literal["forward", "backward"] = "forward"


class TranslationExperiment(Experiment[Translator, PairSource, TranslationSettings]):
    """A translator, and held-out images of the domain that it translates from."""

    kind = TranslationSettings
    outcome = "final translations"

    @cached_property
    def data(self) -> Pairs:
        """Both domains."""
        return _entry_of(self.cell).part

    def open_entry(self) -> Entry[Pairs, DatasetFacts]:
        return _entry_of(self.cell)

    @property
    def forward(self) -> bool:
        """Whether the first domain is translated into the second."""
        return self.asked.direction == "forward"

    @property
    def held_out(self) -> tuple[Tensor, Tensor]:
        """What is translated, and its true partners where they are known."""
        first, second = self.source.held_first, self.source.held_second
        return (first, second) if self.forward else (second, first)

    def train(self, store: ArtifactStore) -> Trained[Translator]:
        inputs = self.held_out[0][:WATCHED]

        def look(fitted: Translator, step: int) -> Tensor:
            rng = stream("translation", "watched", device=self.device)
            return to_bytes(fitted.translate(inputs, rng, self.asked.direction)).cpu()

        return trained_as(Translator, self.order, self.source, store, look)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse()

    def shown(self, trained: Trained[Translator]) -> Arrays:
        inputs, truth = (to_bytes(x[:PICTURED]).cpu().numpy() for x in self.held_out)
        return {"inputs": inputs, "truth": truth, **watched(trained)}

    def translate(self, fitted: Translator, inputs: Tensor, draw: int) -> Tensor:
        """By one of several draws of the model's noise."""
        return fitted.translate(inputs, self.stream("noise", draw), self.asked.direction)

    def make(self, fitted: Translator) -> Made:
        """Every draw of the noise, [draws, n, c, h, w], off the device: there are many."""
        inputs = self.held_out[0][:MOST]
        first = self.translate(fitted, inputs, 0)
        draws = torch.empty(DRAWS, *first.shape)
        draws[0] = first
        for draw in range(1, DRAWS):
            draws[draw] = self.translate(fitted, inputs, draw)
        return Made(draws)

    def score(self, fitted: Translator, made: Made) -> tuple[Iterable[Named], Arrays]:
        first = made.values[0].to(self.device)
        scores = [
            *self._featured(first),
            *self._compared(made.values.numpy()),
            *self._segmented(first),
            *self._read(first),
        ]
        return scores, {"samples": to_bytes(first[:PICTURED]).cpu().numpy()}

    def _featured(self, made: Tensor) -> Iterator[Named]:
        """Against the training images of the domain that is translated into."""
        part = _extractor_of(self.data, self.asked.direction)
        real = self.source.second if self.forward else self.source.first
        sets = [features_of(part, x, self.device) for x in (real[:MOST], to_bytes(made))]
        yield from feature_scores(sets[0], sets[1], part.tag)

    def _compared(self, every: np.ndarray) -> Iterator[Named]:
        """With the true partners, where there are any. every: draws of each."""
        known, fake = self.source.truth, Translated(every[0], every)
        real = self.held_out[1][:MOST].cpu().numpy() if known else every[0]
        for entry in scored_by(("translated",)):
            if known or entry.name == SPREAD:
                try:
                    yield entry.name, entry.part(real, fake), ""
                except UsageError:
                    continue

    def _segmented(self, made: Tensor) -> Iterator[Named]:
        """Class maps read back: photos by the frozen segmenter, label maps by their colours."""
        maps, tag = self.data.load().maps, _reader_of(self.data, self.asked.direction)
        if maps is None or not tag:
            return
        if self.forward:
            read = SEGMENTERS[self.data.segmenter].part.read(made)
        else:
            palette = torch.tensor(self.data.palette, device=made.device) / 255
            gaps = (made[:, None] - palette[None, :, :, None, None]).square().sum(2)
            read = gaps.argmin(1).cpu().numpy()
        for entry in scored_by(("segmented",)):
            yield entry.name, entry.part(maps[: len(read)], read), f"@{tag}"

    def _read(self, made: Tensor) -> Iterator[Named]:
        """By a judge of the domain that is translated into, where truths are known."""
        judge = _judge_of(self.data, self.asked.direction)
        if judge and self.source.truth:
            yield read_alike(judge, self.held_out[1][:MOST], made)


class TranslationTask(GenerationTask[TranslationExperiment], SamplingTask):
    """The dataset is of two domains: registered, or folder:PATH with two folders."""

    needs = DOMAINS
    experiment = TranslationExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return [entry.name for entry in RECIPES.entries() if entry.facts.translates]
        return names_with(self.needs)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked, name = checked(TranslationSettings, settings), parts["dataset"]
        if asked.protocol:
            TRANSLATION_PROTOCOLS[asked.protocol]
        entry, recipe = _named(name, asked.size), recipe_of(parts["model"])
        data = entry.part
        extractor = extractor_named(data.extractor)
        own = {"size": asked.size, "direction": asked.direction}
        target = Target(
            shape=None if data.missing else data.source(0).shape,
            fingerprint=data.fingerprint,
            modules=(__name__, type(extractor).__module__),
            data_modules=modules_of(entry),
            takes=TAKES,
            own={key: value for key, value in own.items() if value not in (None, "forward")},
            rests={"features": extractor.tag},
            seconds=2,
            skip=data.missing or extractor.missing,
        )
        if reason := _unfit(name, data, recipe, asked):
            return unmeasured(target, reason)
        usual = {**dict(TranslationSettings()), **recipe.part.relevant(Training())}
        found = resolve(target, recipe, asked, usual)
        return found if found.skip else replace(found, gives=frozenset(_given(data, asked)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric, under its name and what it rests on."""

        def tag_of(what: str) -> str:
            return PALETTE if what == PALETTE else extractor_named(what).tag

        if (known := name.partition("@")[0]) in OF_MASKS:
            raise UsageError(f"metric '{known}' is not for this task: nothing is masked")
        return facts_by_what(name, TAKES, ("translated",), "what it rests on@scenes-fcn", tag_of)

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        entry, colour = _entry_of(cell), False
        data = entry.part
        if not data.missing:
            source = data.source(0)
            colour = 3 in (source.first_shape[0], source.shape[0])
        return describe_images(entry, colour)

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        at_work = self.experiment(cell, bench.device)
        inputs = at_work.held_out[0]
        if n > len(inputs):
            raise UsageError(f"there are {len(inputs)} held-out images to translate, got {n}")
        made = at_work.translate(self.fitted(cell, bench), inputs, 0)[:n]
        return to_bytes(made).cpu().numpy()

    def fitted(self, cell: Cell, bench: Bench) -> Translator:
        at_work = self.experiment(cell, bench.device)
        return restored(Translator, at_work.order, at_work.source, bench.artifacts)


def _extractor_of(data: Pairs, direction: str) -> Extractor:
    """Whose features the scores of a direction rest on."""
    return extractor_named(data.extractor if direction == "forward" else "pixels")


def _reader_of(data: Pairs, direction: str) -> str:
    """What reads class maps in what a direction makes, or empty."""
    if data.load().maps is None or not data.segmenter:
        return ""
    return SEGMENTERS[data.segmenter].part.tag if direction == "forward" else PALETTE


def _judge_of(data: Pairs, direction: str) -> str:
    """Who reads what a direction makes, or empty."""
    name = data.extractor if direction == "forward" else ""
    return name if name in JUDGES else ""


def _given(data: Pairs, asked: TranslationSettings) -> Iterator[str]:
    """The metrics that a cell can have: of true partners and of class maps where they are known."""
    part = _extractor_of(data, asked.direction)
    yield from names_given(OF_FEATURES, part.tag, part.dims or 0)
    yield from names_given(("translated",)) if data.load().truth else (SPREAD,)
    if reader := _reader_of(data, asked.direction):
        yield from names_given(("segmented",), reader)
    if (judge := _judge_of(data, asked.direction)) and data.load().truth:
        yield f"{READING}@{JUDGES[judge].part.tag}"


def _unfit(
    name: str, data: Pairs, recipe: Entry[Recipe, RecipeFacts], asked: TranslationSettings
) -> str:
    """Why a model can't be trained on such data, or empty. Raises UsageError for a user's images
    that are no pairs where the model needs them.
    """
    facts, model = recipe.facts, recipe.name
    if not facts.translates:
        return f"model '{model}' does not translate images: task image is for it"
    if data.missing:
        return ""
    if facts.paired and not data.paired and name in DATASETS:
        return f"model '{model}' needs pairs, and '{name}' has none"
    if facts.classed and not data.source(0).first_classes and name in DATASETS:
        return f"model '{model}' needs classes of the first domain, and '{name}' has none"
    if (facts.paired or facts.classed) and asked.direction == "backward":
        return f"model '{model}' translates forward alone"
    if facts.paired:
        data.source(0).pairs()
    if facts.classed:
        data.source(0).labelled_first()
    if facts.role == "ceiling" and not data.load().truth:
        return f"nothing says which images of '{name}' belong together: no truth is known"
    return ""


def _named(name: str, side: int | None) -> Entry[Pairs, DatasetFacts]:
    return entry_named(name, DOMAINS, "task translation", side)


def _entry_of(cell: Cell) -> Entry[Pairs, DatasetFacts]:
    return _named(cell.part("dataset"), cell.settings.get("size"))


TASKS.register("translation")(TranslationTask())

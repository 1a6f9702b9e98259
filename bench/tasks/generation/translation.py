"""Translation: train a model to map one domain of images to another, score what it makes of
held-out images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from bench.datasets.named import pairs_named
from bench.datasets.pairs import Pairs, PairSource
from bench.datasets.pixels import outside, to_bytes
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import KIND, Order, Trained, restored, trained_as
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, SamplingTask
from bench.tasks.generation.featurescores import OF_FEATURES, feature_scores
from bench.tasks.generation.imagescores import Named, features_of
from bench.tasks.generation.settings import describe_model, recipe_of
from bench.tasks.values import checked, facts_of, scored_by, value_of
from generative import RECIPES, TRANSLATION_PROTOCOLS, Training, Translator
from generative.contracts import Direction
from metrics.judges.segmenter import SEGMENTERS
from metrics.translation import Translated

PICTURED, WATCHED, DRAWS = 16, 8, 4
MOST = 10_000
TAKES = (*OF_FEATURES, "translated", "segmented")
PALETTE = "palette"
"""What reads label maps: the class of the nearest colour."""


class Settings(BaseModel):
    """The settings of a cell; None means what the protocol says, an empty protocol what is usual
    for the model. size: the side that images are brought to. direction: what is scored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    protocol: str = ""
    steps: int | None = Field(default=None, ge=1, le=10_000_000)
    batch: int | None = Field(default=None, ge=1, le=100_000)
    generator_lr: float | None = Field(default=None, gt=0, le=1e6)
    critic_lr: float | None = Field(default=None, gt=0, le=1e6)
    l1_weight: float | None = Field(default=None, ge=0, le=1e6)
    cycle_weight: float | None = Field(default=None, ge=0, le=1e6)
    identity_weight: float | None = Field(default=None, ge=0, le=1e6)
    channels_last: bool | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    compiled: bool | None = None
    evaluations: int = Field(default=5, ge=1, le=1_000)
    size: int | None = Field(default=None, ge=8, le=4096)
    direction: Literal["forward", "backward"] = "forward"

    def training(self) -> Training:
        own = {name: getattr(self, name) for name in Settings.model_fields if name not in _OWN}
        return Training(**own)


_OWN = ("evaluations", "size", "direction")


class TranslationTask(SamplingTask):
    """Axes: dataset (two domains: registered, or folder:PATH with two folders) and model."""

    axes = ("dataset", "model")

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return [entry.name for entry in RECIPES.entries() if entry.facts.translates]
        return [entry.name for entry in DATASETS.entries() if isinstance(entry.part, Pairs)]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked, name = checked(Settings, settings), parts["dataset"]
        if asked.protocol:
            TRANSLATION_PROTOCOLS[asked.protocol]
        data, recipe = pairs_named(name, asked.size), recipe_of(parts["model"])
        modules = (__name__, *_dataset_modules(name), recipe.origin)
        if not recipe.facts.translates:
            reason = f"model '{recipe.name}' does not translate images: task image is for it"
            return Resolved({}, {}, data.fingerprint, modules, skip=reason)
        training, own = asked.training(), self._own(asked)
        relevant = recipe.part.relevant(training)
        steps = 1
        if not data.missing:
            trainer = recipe.part.trainer(training, data.source(0).shape)
            steps = trainer.steps
            if recipe.facts.paired and not data.paired and name in DATASETS:
                reason = f"model '{recipe.name}' needs pairs, and '{name}' has none"
                return Resolved({}, {}, data.fingerprint, modules, skip=reason)
            if recipe.facts.paired and asked.direction == "backward":
                reason = f"model '{recipe.name}' translates forward alone"
                return Resolved({}, {}, data.fingerprint, modules, skip=reason)
            if recipe.facts.paired:
                data.source(0).pairs()
            if recipe.facts.role == "ceiling" and not data.load().truth:
                reason = f"nothing says which images of '{name}' belong together: no truth is known"
                return Resolved({}, {}, data.fingerprint, modules, skip=reason)
        resolved = {**relevant, **own}
        if steps > 1:
            resolved["evaluations"] = asked.evaluations
        usual = {**Settings().model_dump(), **recipe.part.relevant(Training(""))}
        extractor = extractor_named(data.extractor)
        return Resolved(
            settings={**resolved, "features": extractor.tag},
            differing={key: value for key, value in resolved.items() if usual.get(key) != value},
            fingerprint=data.fingerprint,
            modules=(
                *modules,
                type(extractor).__module__,
                *recipe.part.modules(training),
                *(entry.origin for entry in scored_by(TAKES)),
            ),
            seconds=recipe.part.seconds(training) + 2,
            skip=data.missing or extractor.missing,
        )

    def _own(self, asked: Settings) -> dict[str, Any]:
        size = {} if asked.size is None else {"size": asked.size}
        return {**size, **({"direction": "backward"} if asked.direction == "backward" else {})}

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric, under its name and what it rests on."""
        known, _, given = name.partition("@")
        facts = facts_of(known, TAKES)
        if facts["takes"] == "translated":
            return {**facts, "name": known}
        if given == PALETTE:
            return {**facts, "name": name}
        if not given:
            raise UsageError(f"metric '{known}' needs what it rests on, such as {known}@scenes-fcn")
        return {**facts, "name": f"{known}@{extractor_named(given.partition(':')[0]).tag}"}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        name = cell.part("dataset")
        data, registered = _data_of(cell), name in DATASETS
        facts = {
            "summary": DATASETS[name].summary if registered else name,
            "papers": [DATASETS[name].paper] if registered else [],
            "modes": 0,
            "licence": data.licence,
            "images": True,
            "colour": not data.missing and 3 in (_shapes(data)),
        }
        return {"dataset": facts, "model": describe_model(cell)}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None if cell.skip else (KIND, _order(cell).key(cell.device))

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        source, direction = _data_of(cell).source(cell.seed, bench.device), _direction(cell)
        inputs = source.held_first if direction == "forward" else source.held_second
        if n > len(inputs):
            raise UsageError(f"there are {len(inputs)} held-out images to translate, got -n {n}")
        rng = stream(cell.cell_id, cell.seed, "noise", 0, device=bench.device)
        made = self.fitted(cell, bench).translate(inputs, rng, direction)[:n]
        return to_bytes(made).cpu().numpy()

    def fitted(self, cell: Cell, bench: Bench) -> Translator:
        source = _data_of(cell).source(cell.seed, bench.device)
        model = restored(_order(cell), source, bench.artifacts)
        assert isinstance(model, Translator)
        return model

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        data, direction = _data_of(cell), _direction(cell)
        source = data.source(cell.seed, bench.device)
        inputs, truth = source.held_first, source.held_second
        if direction == "backward":
            inputs, truth = truth, inputs
        inputs, truth = inputs[:MOST], truth[:MOST]

        def look(fitted: Translator, step: int) -> Tensor:
            rng = stream("translation", "watched", device=bench.device)
            return to_bytes(fitted.translate(inputs[:WATCHED], rng, direction)).cpu()

        trained = trained_as(Translator, _order(cell), source, bench.artifacts, look)
        shown = {
            "inputs": to_bytes(inputs[:PICTURED]).cpu().numpy(),
            "truth": to_bytes(truth[:PICTURED]).cpu().numpy(),
            **_watched(trained),
        }
        if trained.fitted is None:
            return Measurement([], trained.diverged, trained.key, shown)
        rngs = (
            stream(cell.cell_id, cell.seed, "noise", draw, device=bench.device)
            for draw in range(DRAWS)
        )
        made = trained.fitted.translate(inputs, next(rngs), direction)
        draws = np.empty((DRAWS, *made.shape), np.float32)
        draws[0] = made.cpu().numpy()
        for draw, rng in enumerate(rngs, start=1):
            draws[draw] = trained.fitted.translate(inputs, rng, direction).cpu().numpy()
        if not np.isfinite(draws).all():
            return Measurement([], "the final translations are not finite", trained.key, shown)
        if wrong := outside(made):
            return Measurement([], artifact_key=trained.key, invalid=wrong)
        found = [
            *_featured(data, direction, source, made, bench.device),
            *_compared(data, truth, draws),
            *_segmented(data, direction, made),
        ]
        values = [value_of(n, s, trained.total_steps, True, suffix) for n, s, suffix in found]
        shown["samples"] = to_bytes(made[:PICTURED]).cpu().numpy()
        return Measurement(values, "", trained.key, shown)


def _featured(
    data: Pairs, direction: str, source: PairSource, made: Tensor, device: str
) -> Iterator[Named]:
    """Against the training images of the domain that is translated into."""
    part = extractor_named(data.extractor if direction == "forward" else "pixels")
    real = source.second if direction == "forward" else source.first
    sets = [features_of(part, images, device) for images in (real[:MOST], to_bytes(made))]
    for name, score in feature_scores(*sets):
        yield name, score, f"@{part.tag}"


def _compared(data: Pairs, truth: Tensor, every: np.ndarray) -> Iterator[Named]:
    """With the true partners, where there are any. every: draws of each, [draws, n, c, h, w]."""
    fake = Translated(every[0], every)
    known = data.load().truth
    for entry in scored_by(("translated",)):
        if known or entry.name == "noise_spread":
            try:
                yield entry.name, entry.part(truth.cpu().numpy() if known else every[0], fake), ""
            except UsageError:
                continue


def _segmented(data: Pairs, direction: str, made: Tensor) -> Iterator[Named]:
    """Class maps read back: photos by the frozen segmenter, label maps by their colours."""
    maps = data.load().maps
    if maps is None or not data.segmenter:
        return
    segmenter = SEGMENTERS[data.segmenter].part
    if direction == "forward":
        read, tag = segmenter.read(made), segmenter.tag
    else:
        palette = torch.tensor(data.palette, device=made.device) / 255
        gaps = (made[:, None] - palette[None, :, :, None, None]).square().sum(2)
        read, tag = gaps.argmin(1).cpu().numpy(), PALETTE
    for entry in scored_by(("segmented",)):
        yield entry.name, entry.part(maps[: len(read)], read), f"@{tag}"


def _watched(trained: Trained[Translator]) -> dict[str, np.ndarray]:
    """Translations of the same inputs on the way, uint8 [times, n, c, h, w]."""
    several = trained.total_steps > 1 and len(trained.steps) > 0
    return {"training": trained.snapshots} if several else {}


def _shapes(data: Pairs) -> tuple[int, int]:
    source = data.source(0)
    return source.first_shape[0], source.shape[0]


def _direction(cell: Cell) -> Direction:
    return cell.settings.get("direction", "forward")


def _data_of(cell: Cell) -> Pairs:
    return pairs_named(cell.part("dataset"), cell.settings.get("size"))


def _order(cell: Cell) -> Order:
    known = Settings.model_fields
    asked = Settings(**{name: v for name, v in cell.settings.items() if name in known})
    name = cell.part("dataset")
    training, modules = asked.training(), _dataset_modules(name)
    return Order(
        cell.part("model"), training, cell.fingerprint, cell.seed, asked.evaluations, modules
    )


def _dataset_modules(name: str) -> tuple[str, ...]:
    """The modules whose source makes the data."""
    if name not in DATASETS:
        return ("bench.datasets.namedpairs",)
    return (DATASETS[name].origin, "bench.datasets.pairs")


TASKS.register("translation")(TranslationTask())

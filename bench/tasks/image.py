"""Images: train a model on real ones, and score what it draws against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.datasets import DATASETS
from bench.datasets.images import outside, to_bytes
from bench.datasets.labelled import Labelled
from bench.errors import UsageError
from bench.extractors.users import extractor as extractor_named
from bench.loaders.imagesets import images_named
from bench.randomness import stream
from bench.suite import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, SamplingTask
from bench.tasks.generation import (
    Settings,
    Target,
    asked_of,
    describe_model,
    models_for,
    order_of,
    resolve,
)
from bench.tasks.imagescores import TAKES, ImageScores, usual_extractor
from bench.tasks.latent import bounds
from bench.tasks.scoring import checked, facts_of, value_of
from bench.tasks.training import KIND, Order, Trained, draw, train
from generative import ConditionalSampler, Sampler

PICTURED, WATCHED = 64, 16
LEAST_SAMPLES, MOST_SAMPLES = 100, 10_000
EXAMPLE = (1, 28, 28)
"""The shape that images which are not here are taken to have."""


class ImageSettings(Settings):
    """size: the side that images are brought to, None for as they come. features: the extractor
    whose features the scores rest on, empty for the data's judge, lite0 or pixels.
    """

    size: int | None = Field(default=None, ge=4, le=4096)
    features: str = ""


class ImageTask(SamplingTask):
    """Axes: dataset (images: registered, torchvision:NAME or folder:PATH) and model (a recipe).

    Scored by default: as many samples as there are held-out images, 10,000 at most, so that every
    row, the oracle's too, has as many distinct ones.
    """

    axes = ("dataset", "model")

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return models_for("images")
        return [e.name for e in DATASETS.entries() if isinstance(e.part, Labelled) and e.part.judge]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        name = parts["dataset"]
        chosen = checked(ImageSettings, {"protocol": "dcgan-32", **settings})
        data = images_named(name, chosen.size)
        part = extractor_named(usual_extractor(data, chosen.features))
        own = {"size": chosen.size, "features": chosen.features}
        own = {key: value for key, value in own.items() if value}
        missing = data.missing
        target = Target(
            shape=EXAMPLE if missing else data.source(0).shape,
            fingerprint=data.fingerprint,
            defaults=_defaults(data),
            modules=(__name__, type(part).__module__),
            data_modules=_dataset_modules(name),
            takes=TAKES,
            extra={**own, "features": part.tag},
            named=own,
            seconds=1e-3,
            skip=missing or part.missing,
            labelled=data.classes > 0,
            kind=ImageSettings,
        )
        return resolve(target, parts["model"], settings)

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric, under its name and what it rests on."""
        known, _, given = name.partition("@")
        facts = facts_of(known, TAKES)
        if facts["takes"] == "latent":
            return {**facts, "name": name}
        if not given:
            raise UsageError(
                f"metric '{known}' needs the features that it rests on, such as {known}@digits-cnn"
            )
        return {**facts, "name": f"{known}@{extractor_named(given.partition(':')[0]).tag}"}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        name, data = cell.part("dataset"), _data_of(cell)
        registered = name in DATASETS
        facts = {
            "summary": DATASETS[name].summary if registered else name,
            "papers": [DATASETS[name].paper] if registered else [],
            "modes": data.classes,
            "licence": data.licence,
            "images": True,
            "colour": not data.missing and data.source(0).shape[0] == 3,
        }
        return {"dataset": facts, "model": describe_model(cell)}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None if cell.skip else (KIND, _order(cell).key(cell.device))

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        source = _data_of(cell).source(cell.seed, bench.device)
        rng = stream(cell.cell_id, cell.seed, "samples", device=bench.device)
        scored = max(n, _asked_of(cell).samples)
        return to_bytes(draw(_order(cell), source, bench.artifacts, scored, rng)[:n]).cpu().numpy()

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        data, asked = _data_of(cell), _asked_of(cell)
        source = data.source(cell.seed, bench.device)
        trained = train(_order(cell), source, bench.artifacts)
        extractor = cell.settings["features"].partition(":")[0]
        scores = ImageScores(cell.part("dataset"), asked.size, extractor, cell.seed, bench.device)
        curve, arrays = list(scores.curve(trained)), _watched(trained)
        if trained.fitted is None:
            return Measurement(curve, trained.diverged, trained.key, arrays)
        rng = stream(cell.cell_id, cell.seed, "samples", device=bench.device)
        samples = trained.fitted.sample(asked.samples, rng)
        if not bool(torch.isfinite(samples).all()):
            return Measurement(curve, "the final samples are not finite", trained.key, arrays)
        if wrong := outside(samples):
            return Measurement([], artifact_key=trained.key, invalid=wrong)
        images = to_bytes(samples)
        found = [
            *scores.of(images, trained.fitted),
            *bounds(source, trained.fitted, cell, bench.device),
        ]
        final = [value_of(n, s, trained.total_steps, True, suffix) for n, s, suffix in found]
        arrays |= {"samples": _pictured(images, trained.fitted), **scores.counted(images)}
        return Measurement([*curve, *final], "", trained.key, arrays)


def _pictured(images: Tensor, fitted: Sampler) -> np.ndarray:
    """The first samples; where they are of every class in turn, ten of each."""
    classes = fitted.classes if isinstance(fitted, ConditionalSampler) else 0
    return images[: 10 * classes or PICTURED].cpu().numpy()


def _watched(trained: Trained) -> dict[str, np.ndarray]:
    """The first samples at each look on the way, of the same noise: uint8 [times, n, c, h, w]."""
    several = trained.total_steps > 1 and len(trained.steps) > 0
    return {"training": trained.snapshots[:, :WATCHED]} if several else {}


def _data_of(cell: Cell) -> Labelled:
    return images_named(cell.part("dataset"), cell.settings.get("size"))


def _asked_of(cell: Cell) -> ImageSettings:
    return asked_of(cell, _defaults(_data_of(cell)), ImageSettings)


def _defaults(data: Labelled) -> dict[str, Any]:
    held = 0 if data.missing else len(data.split.held_images)
    samples = max(LEAST_SAMPLES, min(MOST_SAMPLES, held))
    return {"protocol": "dcgan-32", "samples": samples, "evaluations": 5}


def _order(cell: Cell) -> Order:
    name = cell.part("dataset")
    defaults = _defaults(_data_of(cell))
    return order_of(cell, defaults, _dataset_modules(name), fixed_noise=True)


def _dataset_modules(name: str) -> tuple[str, ...]:
    """The modules whose source makes the data."""
    if name not in DATASETS:
        return ("bench.loaders.imagesets",)
    entry = DATASETS[name]
    return (entry.origin, type(entry.part).__module__)


TASKS.register("image")(ImageTask())

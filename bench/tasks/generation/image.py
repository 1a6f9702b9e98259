"""Images: train a model on real ones, and score what it draws against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from bench.datasets.labelled import Labelled
from bench.datasets.named import images_named
from bench.datasets.pixels import outside, to_bytes
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import KIND, Order, Trained, sampler, train
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, SamplingTask
from bench.tasks.generation.bounds import bounds
from bench.tasks.generation.imagescores import (
    TAKES,
    ImageScores,
    name_of,
    refuse_colour,
    usual_extractor,
)
from bench.tasks.generation.settings import (
    Settings,
    Target,
    asked_of,
    describe_model,
    models_for,
    order_of,
    resolve,
)
from bench.tasks.values import checked, facts_of, value_of
from generative import ConditionalSampler, Sampler

PICTURED, WATCHED = 64, 16
LEAST_SAMPLES, MOST_SAMPLES = 100, 10_000
PROTOCOL = "dcgan-32"
EXAMPLE = (1, 28, 28)
"""The shape that images which are not here are taken to have."""


class ImageSettings(Settings):
    """size: the side that images are brought to, None for as they come. features: the extractor
    whose features the scores rest on, empty for the data's judge, lite0 or pixels.
    """

    size: int | None = Field(default=None, ge=4, le=4096)
    features: str = ""


def image_target(
    name: str, chosen: ImageSettings, takes: tuple[str, ...], own: Mapping[str, Any] | None = None
) -> Target:
    """What a cell about images is about. own: settings that are a task's own. Raises UsageError for
    images that can't be had.
    """
    data = images_named(name, chosen.size)
    part = extractor_named(usual_extractor(data, chosen.features))
    shape = EXAMPLE
    if not data.missing:
        shape = data.source(0).shape
        if not len(data.split.images):
            raise UsageError(f"dataset '{name}' has no images to train on: all of it is held out")
        refuse_colour(part, shape[0])
    seen = {"size": chosen.size, "features": chosen.features}
    named = {**{key: value for key, value in seen.items() if value}, **(own or {})}
    return Target(
        shape=shape,
        fingerprint=data.fingerprint,
        defaults=defaults_of(data),
        modules=(__name__, type(part).__module__),
        data_modules=dataset_modules(name),
        takes=takes,
        extra={**named, "features": part.tag},
        named=named,
        seconds=1e-3,
        skip=data.missing or part.missing,
        labelled=data.classes > 0,
        kind=type(chosen),
    )


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
        chosen = checked(ImageSettings, {"protocol": PROTOCOL, **settings})
        return resolve(image_target(parts["dataset"], chosen, TAKES), parts["model"], settings)

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
        name, data = cell.part("dataset"), data_of(cell)
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
        return None if cell.skip else (KIND, order_of_images(cell).key(cell.device))

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        rng = stream(cell.cell_id, cell.seed, "samples", device=bench.device)
        drawn = self.fitted(cell, bench).sample(max(n, _asked_of(cell).samples), rng)[:n]
        return to_bytes(drawn).cpu().numpy()

    def fitted(self, cell: Cell, bench: Bench) -> Sampler:
        source = data_of(cell).source(cell.seed, bench.device)
        return sampler(order_of_images(cell), source, bench.artifacts)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        data, asked = data_of(cell), _asked_of(cell)
        source = data.source(cell.seed, bench.device)
        trained = train(order_of_images(cell), source, bench.artifacts)
        scores = scores_of(cell, bench.device)
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
        looked = scores.look(images)
        found = [
            *scores.of(looked, trained.fitted),
            *bounds(source, trained.fitted, cell, bench.device),
        ]
        final = [value_of(n, s, trained.total_steps, True, suffix) for n, s, suffix in found]
        arrays["samples"] = _pictured(images, trained.fitted)
        if looked.counts is not None:
            arrays["digits"] = looked.counts.digits
        return Measurement([*curve, *final], "", trained.key, arrays)


def _pictured(images: Tensor, fitted: Sampler) -> np.ndarray:
    """The first samples; where they are of every class in turn, ten of each."""
    classes = fitted.classes if isinstance(fitted, ConditionalSampler) else 0
    return images[: 10 * classes or PICTURED].cpu().numpy()


def _watched(trained: Trained) -> dict[str, np.ndarray]:
    """The first samples at each look on the way, of the same noise: uint8 [times, n, c, h, w]."""
    several = trained.total_steps > 1 and len(trained.steps) > 0
    return {"training": trained.snapshots[:, :WATCHED]} if several else {}


def scores_of(cell: Cell, device: str) -> ImageScores:
    """What looks at the samples of a cell."""
    extractor = name_of(cell.settings["features"])
    size = cell.settings.get("size")
    return ImageScores(cell.part("dataset"), size, extractor, cell.seed, device)


def data_of(cell: Cell) -> Labelled:
    """The images of a cell, at its size."""
    return images_named(cell.part("dataset"), cell.settings.get("size"))


def _asked_of(cell: Cell) -> ImageSettings:
    return asked_of(cell, defaults_of(data_of(cell)), ImageSettings)


def defaults_of(data: Labelled) -> dict[str, Any]:
    """Settings where the suite says nothing."""
    held = 0 if data.missing else len(data.split.held_images)
    samples = max(LEAST_SAMPLES, min(MOST_SAMPLES, held))
    return {"protocol": PROTOCOL, "samples": samples, "evaluations": 5}


def order_of_images(cell: Cell) -> Order:
    """What a cell about images needs trained; other tasks on the same model share it."""
    name = cell.part("dataset")
    defaults = defaults_of(data_of(cell))
    return order_of(cell, defaults, dataset_modules(name), fixed_noise=True)


def dataset_modules(name: str) -> tuple[str, ...]:
    """The modules whose source makes the data."""
    if name not in DATASETS:
        return ("bench.datasets.named",)
    entry = DATASETS[name]
    return (entry.origin, type(entry.part).__module__)


TASKS.register("image")(ImageTask())

"""Inpainting: hide a part of held-out pictures, let a trained model complete them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets.pixels import outside, to_bytes
from bench.extractors import EXTRACTORS
from bench.models.generators import train
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, Task
from bench.tasks.generation.image import (
    PROTOCOL,
    ImageSettings,
    data_of,
    defaults_of,
    image_target,
    order_of_images,
)
from bench.tasks.generation.settings import asked_of, resolve
from bench.tasks.values import checked, facts_of, scored_by, value_of
from generative import RECIPES, Completer, Decoder, Sampler
from generative.inpainting import Descent, complete
from generative.recipes.references import Reals
from metrics import JUDGES, Judge
from metrics.completion import Completion

READING = "same_reading"
PICTURED, GREY = 24, 0.5
TAKES = ("completed",)
RANDOM = 0.8
"""The share of pixels that the random mask hides, as the paper does."""
OWN = ("mask", "pictures", "descent_steps", "descent_rate", "perceptual", "starts")


class InpaintingSettings(ImageSettings):
    """mask: what is hidden: the middle quarter, the left half, or 80 % of the pixels at random.
    pictures: how many are completed. descent_steps, descent_rate, perceptual, starts: how codes are
    found (generative.inpainting).
    """

    mask: Literal["centre", "left", "random"] = "centre"
    pictures: int = Field(default=64, ge=1, le=10_000)
    descent_steps: int = Field(default=500, ge=0, le=100_000)
    descent_rate: float = Field(default=0.03, gt=0, le=10)
    perceptual: float = Field(default=0.003, ge=0, le=1e6)
    starts: int = Field(default=1_000, ge=1, le=100_000)


def known_pixels(mask: str, height: int, width: int) -> Tensor:
    """Which pixels are not hidden, bool [h, w]."""
    known = torch.ones(height, width, dtype=torch.bool)
    if mask == "centre":
        known[height // 4 : height - height // 4, width // 4 : width - width // 4] = False
    elif mask == "left":
        known[:, : width // 2] = False
    else:
        known = torch.rand(height, width, generator=stream("inpainting", "mask")) >= RANDOM
    return known


class InpaintingTask(Task):
    """Axes: dataset (images) and model. One that decodes codes is searched for the best; one that
    completes in closed form does; the oracle knows the truth; of any other the sample is taken
    that fits best.
    """

    axes = ("dataset", "model")

    def every(self, axis: str) -> list[str]:
        return TASKS["image"].part.every(axis)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        chosen = checked(InpaintingSettings, {"protocol": PROTOCOL, **settings})
        own = {name: getattr(chosen, name) for name in OWN}
        target = image_target(parts["dataset"], chosen, TAKES, own)
        target = replace(target, modules=(__name__, *target.modules, complete.__module__))
        found = resolve(target, parts["model"], settings)
        if RECIPES[parts["model"]].facts.labelled and not found.skip:
            reason = f"model '{parts['model']}' would have to be told the class of each picture"
            return replace(found, skip=reason)
        return found

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric; of one that a judge gives, under its name and hash."""
        known, _, judge = name.partition("@")
        facts = facts_of(known, TAKES)
        if judge:
            return {**facts, "name": f"{known}@{JUDGES[judge.partition(':')[0]].part.tag}"}
        if known == READING:
            raise UsageError(f"metric '{known}' needs its judge, such as {known}@digits-cnn")
        return {**facts, "name": known}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        return TASKS["image"].part.describe(cell)

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return TASKS["image"].part.artifact(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        data = data_of(cell)
        asked = asked_of(cell, defaults_of(data), InpaintingSettings)
        source = data.source(cell.seed, bench.device)
        trained = train(order_of_images(cell), source, bench.artifacts)
        if trained.fitted is None:
            return Measurement([], trained.diverged, trained.key)
        pictures = source.held_out[: asked.pictures]
        known = known_pixels(asked.mask, *pictures.shape[2:]).to(bench.device)
        rng = stream(cell.cell_id, cell.seed, "inpainting", device=bench.device)
        images, drawn = filled(trained.fitted, pictures, known, rng, asked)
        if not bool(torch.isfinite(images).all()):
            return Measurement([], "the completed pictures are not finite", trained.key)
        if wrong := outside(images):
            return Measurement([], artifact_key=trained.key, invalid=wrong)
        judge = JUDGES[data.judge].part if data.judge else None
        both = [None, None] if judge is None else [_read(judge, x) for x in (pictures, images)]
        own = None if drawn is None else drawn.cpu().numpy()
        made = Completion(images.cpu().numpy(), own, known.cpu().numpy(), both[0], both[1])
        values = []
        for entry in scored_by(TAKES):
            suffix = f"@{judge.tag}" if entry.name == READING and judge else ""
            with suppress(UsageError):
                score = entry.part(pictures.cpu().numpy(), made)
                values.append(value_of(entry.name, score, trained.total_steps, True, suffix))
        hidden = torch.where(known, pictures, torch.full_like(pictures, GREY))
        shown = {"inputs": hidden, "samples": images, "truth": pictures}
        kept = {name: to_bytes(x[:PICTURED]).cpu().numpy() for name, x in shown.items()}
        return Measurement(values, "", trained.key, kept)


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


def _read(judge: Judge, images: Tensor) -> np.ndarray:
    """The likeliest class of each."""
    part = EXTRACTORS[judge.name].part
    return judge.read(part.resized(images, JUDGES[judge.name].facts.size)).labels


TASKS.register("inpainting")(InpaintingTask())

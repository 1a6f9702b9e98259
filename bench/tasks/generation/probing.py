"""Probing: read classes off the layers of a model that was trained without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets.pixels import to_unit
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation import encoded, linearprobes
from bench.tasks.generation.encoded import EncodedExperiment, EncodedTask
from bench.tasks.generation.experiment import Arrays, Made
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.image import ImageSettings, resolve_images
from bench.tasks.generation.linearprobes import Probe, probed
from bench.tasks.generation.settings import recipe_of
from bench.tasks.values import checked, facts_of, scored_by
from generative import RECIPES, Autoencoder, Sampler
from generative.recipes.encoding import hidden_of
from generative.recipes.projections import Principal
from generative.recipes.references import Reals
from generative.recipes.stacked import Layered, Stacking

TAKES = ("probed",)
CHUNK = 1_000
RAW = "oracle"
"""The model that stands for raw pixels."""


class ProbingSettings(ImageSettings):
    """layer: whose output is read, the lowest is 1; a code is the only layer of what has no others,
    and the pixels themselves of the oracle. labels: how many training images the probe is told the
    class of. probe: logistic regression, or linear support vector machines.
    """

    protocol: str = "vincent-2008"
    features: str = "pixels"
    layer: int = Field(default=1, ge=1, le=100)
    labels: int = Field(default=1_000, ge=20, le=1_000_000)
    probe: Probe = "logistic"


OWN = tuple(name for name in ProbingSettings.model_fields if name not in ImageSettings.model_fields)


def layer_of(model: Sampler, images: Tensor, layer: int) -> Tensor:
    """What a layer makes of images [n, c, h, w], [n, d]. Raises UsageError for a model that does
    not encode.
    """
    if isinstance(model, Reals):
        return images.flatten(1)
    if not isinstance(model, Autoencoder):
        kind = type(model).__name__
        raise UsageError(f"a {kind} does not encode: task probing needs an Autoencoder")
    if isinstance(model, Layered):
        return torch.cat([model.layers(part)[layer - 1] for part in images.split(CHUNK)])
    codes = torch.cat([model.encode(part) for part in images.split(CHUNK)])
    # Whitened, the components that hold next to nothing would count as much as the first.
    return codes * model.lengths if isinstance(model, Principal) else codes


class ProbingExperiment(EncodedExperiment[ProbingSettings]):
    """Of the layers of one model."""

    kind = ProbingSettings
    outcome: ClassVar[str] = "features"

    def make(self, fitted: Sampler) -> Made:
        return Made(layer_of(fitted, self.source.held_out, self.asked.layer))

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        told = to_unit(self.source.training_bytes[: self.asked.labels])
        classes = self.source.training_labels[: self.asked.labels].cpu().numpy()
        own = layer_of(fitted, told, self.asked.layer)
        read = probed(self.asked.probe, _array(own), classes, _array(made.values))
        truth = self.source.held_out_labels.cpu().numpy()
        return [(entry.name, entry.part(truth, read), "") for entry in scored_by(TAKES)], {}


def _array(features: Tensor) -> np.ndarray:
    return features.cpu().double().numpy()


class ProbingTask(EncodedTask[ProbingExperiment]):
    """The dataset is of images with classes; the model encodes, or is the oracle: raw pixels."""

    needs = frozenset({"images", "classes"})
    experiment, others = ProbingExperiment, (RAW,)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        modules = (__name__, encoded.__name__, linearprobes.__name__)
        found = resolve_images(parts, settings, ProbingSettings, OWN, TAKES, modules)
        if found.skip:
            return found
        asked, recipe = checked(ProbingSettings, settings), recipe_of(parts["model"])
        if reason := self._unfit(recipe, asked):
            return replace(found, skip=reason, unfit=True)
        return replace(found, gives=frozenset(entry.name for entry in scored_by(TAKES)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, TAKES), "name": name}

    def _unfit(self, recipe: Entry[Any, Any], asked: ProbingSettings) -> str:
        """Why a layer of a model can't be probed, or empty."""
        if recipe.name in RECIPES and not self.fits(recipe):
            return f"model '{recipe.name}' can't encode images"
        part, layers = recipe.part, 1
        if isinstance(part, Stacking):
            layers = len(hidden_of(part.rules(asked.training())))
        if asked.layer > layers:
            return f"layer {asked.layer} of model '{recipe.name}': it has {layers}"
        return ""


TASKS.register("probing")(ProbingTask())

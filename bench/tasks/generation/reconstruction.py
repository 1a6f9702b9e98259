"""Reconstruction: encode held-out images, decode their codes, and see what is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar

from torch import Tensor

from bench.core.errors import UsageError
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation import encoded, inferring
from bench.tasks.generation.encoded import EncodedExperiment, EncodedTask
from bench.tasks.generation.experiment import Arrays, Made
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.image import IMAGES, ImageSettings, resolve_images
from bench.tasks.generation.inferring import BOUNDS
from bench.tasks.generation.settings import recipe_of
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import facts_of, scored_by
from generative import RECIPES, Sampler
from metrics.reconstruction import Rebuilt

TAKES = ("decoded",)
TRAINING = "@training"
"""What the name of a score ends with that is of training images."""
PICTURED = 16


class ReconstructionSettings(ImageSettings):
    """Under the paper's protocol unless another is asked for."""

    protocol: str = "hinton-2006"
    features: str = "pixels"


rebuilt = partial(inferring.rebuilt, task="reconstruction")
"""What a model makes of images [n, c, h, w] by way of their codes."""


class ReconstructionExperiment(EncodedExperiment[ReconstructionSettings]):
    """Scored are all held-out images, and as many training ones."""

    kind = ReconstructionSettings
    outcome: ClassVar[str] = "rebuilt images"

    def make(self, fitted: Sampler) -> Made:
        return Made(rebuilt(fitted, self.source.held_out))

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        held = self.source.held_out
        seen = self.source.training[: len(held)]
        kept = sheet(PICTURED, originals=held, samples=made.values.clamp(0, 1))
        scores = [*self._scores(held, made.values, "")]
        return [*scores, *self._scores(seen, rebuilt(fitted, seen), TRAINING)], kept

    @cached_property
    def _units(self) -> tuple[Tensor, float]:
        """The mean training image, and the variance about it, the mean over pixels."""
        training = self.source.training.double()
        mean = training.mean(0)
        return mean, float((training - mean).square().mean())

    def _scores(self, real: Tensor, made: Tensor, suffix: str) -> Iterator[Named]:
        mean, variance = self._units
        found = Rebuilt(made.cpu().double().numpy(), mean.cpu().numpy(), variance)
        for entry in scored_by(TAKES):
            yield entry.name, entry.part(real.cpu().double().numpy(), found), suffix


class ReconstructionTask(EncodedTask[ReconstructionExperiment]):
    """The dataset is of images; the model encodes and decodes, or is a bound of such."""

    needs = IMAGES
    experiment, others = ReconstructionExperiment, BOUNDS

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        modules = (__name__, encoded.__name__, inferring.__name__)
        found = resolve_images(parts, settings, ReconstructionSettings, (), TAKES, modules)
        if found.skip:
            return found
        recipe = recipe_of(parts["model"])
        if recipe.name in RECIPES and not self.fits(recipe):
            reason = f"model '{recipe.name}' can't encode images"
            return replace(found, skip=reason, unfit=True)
        names = [entry.name for entry in scored_by(TAKES)]
        given = (name + suffix for name in names for suffix in ("", TRAINING))
        return replace(found, gives=frozenset(given))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric; NAME@training is the same of training images."""
        known, _, given = name.partition("@")
        facts = facts_of(known, TAKES)
        if not given:
            return {**facts, "name": known}
        if f"@{given}" != TRAINING:
            raise UsageError(
                f"metric '{name}' is none: expected {known}, or {known}{TRAINING} for the images "
                "that were trained on"
            )
        title = f"{facts['title']}, training"
        return {**facts, "name": name, "title": title, "direction": "none"}


TASKS.register("reconstruction")(ReconstructionTask())

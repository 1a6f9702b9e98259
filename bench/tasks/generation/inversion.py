"""Inversion: held-out images back from the noise, the code or the nearest sample of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation import encoded
from bench.tasks.generation.anomaly import searches
from bench.tasks.generation.encoded import EncodedExperiment, EncodedTask
from bench.tasks.generation.experiment import Arrays, Made
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.image import IMAGES, ImageSettings, resolve_images
from bench.tasks.generation.inferring import BOUNDS, DATA, Examples, rebuilt
from bench.tasks.generation.settings import recipe_of
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import facts_of, scored_by
from generative import RECIPES, Invertible, Perceiver, Sampler
from generative.anomalies import Search, searched
from metrics.reconstruction import Rebuilt

PICTURED = 16


class InversionSettings(ImageSettings):
    """pictures: how many held-out images are asked for. descent_steps, descent_rate, starts: how
    codes are searched of a model that has no way back (generative.anomalies, without its critic).
    """

    protocol: str = "small-dcgan"
    features: str = "pixels"
    pictures: int = Field(default=200, ge=1, le=10_000)
    descent_steps: int = Field(default=500, ge=0, le=100_000)
    descent_rate: float = Field(default=0.03, gt=0, le=10)
    starts: int = Field(default=1_000, ge=1, le=100_000)


SEARCHING = ("descent_steps", "descent_rate", "starts")
"""Of models whose codes are searched."""


class InversionExperiment(EncodedExperiment[InversionSettings]):
    """The same model that others are scored by, and the first held-out images."""

    kind = InversionSettings
    outcome: ClassVar[str] = "returned images"

    @cached_property
    def pictures(self) -> Tensor:
        """As they are, [n, c, h, w]."""
        return self.source.held_out[: self.asked.pictures]

    def make(self, fitted: Sampler) -> Made:
        return Made(self._returned(fitted))

    def _returned(self, fitted: Sampler) -> Tensor:
        if isinstance(fitted, Invertible):
            return fitted.returned(self.pictures)
        if not isinstance(fitted, Perceiver):
            return rebuilt(fitted, self.pictures, "inversion")
        asked = self.asked
        search = Search(asked.descent_steps, asked.descent_rate, 0.0, asked.starts)
        return searched(fitted, self.pictures, self.stream("inversion"), search).drawn

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        mean, variance = Examples(self.source.training, self.pictures).units
        found = Rebuilt(made.values.cpu().double().numpy(), mean, variance)
        truth = self.pictures.cpu().double().numpy()
        scores = [(entry.name, entry.part(truth, found), "") for entry in scored_by((DATA,))]
        originals, samples = self.pictures, made.values.clamp(0, 1)
        return scores, sheet(PICTURED, originals=originals, samples=samples)


class InversionTask(EncodedTask[InversionExperiment]):
    """The dataset is of images. A model is asked for held-out ones: by the way back to its noise
    where it has one, by its encoder, or else by a search among its codes.
    """

    needs = IMAGES
    experiment, others = InversionExperiment, BOUNDS

    def fits(self, recipe: Entry[Any, Any]) -> bool:
        return recipe.facts.inverts or searches(recipe) or super().fits(recipe)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        recipe = recipe_of(parts["model"])
        own = ("pictures", *(SEARCHING if searches(recipe) else ()))
        modules = (__name__, encoded.__name__, rebuilt.__module__, searched.__module__)
        found = resolve_images(parts, settings, InversionSettings, own, (DATA,), modules)
        if found.skip:
            return found
        if recipe.name in RECIPES and not self.fits(recipe):
            reason = f"model '{recipe.name}' has no way back from an image"
            return replace(found, skip=reason, unfit=True)
        return replace(found, gives=frozenset(entry.name for entry in scored_by((DATA,))))

    def metric_facts(self, name: str) -> dict[str, Any]:
        known, _, given = name.partition("@")
        if given:
            raise UsageError(f"metric '{name}' is none: expected {known}")
        return {**facts_of(known, (DATA,)), "name": known}


TASKS.register("inversion")(InversionTask())

"""What tasks about models that encode share: what is trained, and which models can be asked."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import numpy as np

from bench.core.registry import Entry
from bench.datasets import DATASETS, DatasetFacts
from bench.datasets.labelled import LabelledSource
from bench.datasets.named import names_with
from bench.models.generators import Trained, train
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import TASKS
from bench.tasks.generation.experiment import Arrays, Experiment, GenerationTask, Glimpse
from bench.tasks.generation.image import ImageSettings, entry_of
from generative import RECIPES, Sampler

S = TypeVar("S", bound=ImageSettings)
E = TypeVar("E", bound="EncodedExperiment[Any]")


class EncodedExperiment(Experiment[Sampler, LabelledSource, S]):
    """A model of images, the same that others are scored by; nothing is looked at on the way."""

    fixed_noise, boxed = True, False

    def open_entry(self) -> Entry[Any, DatasetFacts]:
        return entry_of(self.cell)

    def train(self, store: ArtifactStore) -> Trained[Sampler]:
        return train(self.order, self.source, store)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        return Glimpse()

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return {}


class EncodedTask(GenerationTask[E]):
    """others: models that encode nothing and have a row all the same."""

    others: ClassVar[tuple[str, ...]]

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return [entry.name for entry in RECIPES.entries() if self.fits(entry)]
        return [name for name in names_with(self.needs) if not DATASETS[name].facts.large]

    def fits(self, recipe: Entry[Any, Any]) -> bool:
        """Whether a model can be asked."""
        return recipe.facts.encodes or recipe.name in self.others

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        return TASKS["image"].part.describe(cell)["dataset"]

"""A model that was made elsewhere: nothing is trained, and what it is made of tells it apart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor

from bench.core.errors import UsageError
from generative.contracts import Data, Recipe, Sampler
from generative.trainers.fit import FitTrainer
from generative.training import ANY, Bounds, Setting, Training

SETTINGS = {"prior": Setting(str | None, None, ANY), "range": Setting(str | None, None, ANY)}
"""What a training may say of models that were made elsewhere, beside a protocol's `latent`."""
LATENT = Bounds(1, 1_000_000)


class Unfit(UsageError):
    """A model that is for other data: on these its cells are skipped."""


@dataclass(frozen=True)
class Contents:
    """What a model is made of. shared: a sha256 over what its seeds share, or empty. by_seed: one
    over what each seed has for itself, by seed, a seed that has nothing being no model; None where
    they share all. once: whether every seed draws the same.
    """

    shared: str = ""
    by_seed: Mapping[int, str] | None = None
    once: bool = False

    def of(self, seed: int) -> tuple[str, ...]:
        """The digests of a seed."""
        own = (self.by_seed or {}).get(seed, "")
        return tuple(filter(None, (self.shared, own)))


class Ready(Recipe):
    """A recipe of a model that is there already."""

    @abstractmethod
    def load(self, training: Training, data: Data, seed: int) -> Sampler:
        """The model of a seed. Raises UsageError for what can't be used."""

    @abstractmethod
    def contents(self, origin: str) -> Contents:
        """What it is made of; origin: the module that names it. Raises UsageError for files that
        can't be read.
        """

    def refuse(self, training: Training, shape: tuple[int, ...], samples: int) -> None:
        """Raise UsageError where so many samples of data of a shape can't be had; Unfit where none
        can.
        """

    def drawn_as(self, seed: int) -> str:
        """The cell whose random streams it draws from; empty for that of its row."""
        return ""

    @property
    def note(self) -> str:
        """What a reader of its row should know, or empty."""
        return ""

    def relevant(self, training: Training) -> dict[str, Any]:
        return {}

    def modules(self, training: Training) -> tuple[str, ...]:
        return (type(self).__module__,)

    @final
    def trainer(self, training: Training, shape: tuple[int, ...]) -> FitTrainer:
        return Loading(self, training)

    def seconds(self, training: Training) -> float:
        return 0.1


@dataclass(frozen=True)
class Loading(FitTrainer):
    """The one step is to load the model."""

    recipe: Ready
    training: Training = field(default_factory=Training)

    def fit(self, data: Data, seed: int) -> Sampler:
        return self.recipe.load(self.training, data, seed)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        return self.recipe.load(self.training, data, 0)

"""The rows every table needs: real data as the ceiling, floors that a sound score sees through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from generative.contracts import (
    RECIPES,
    Data,
    Density,
    DensitySampler,
    PerPoint,
    Points,
    Recipe,
    Sampler,
    Trainer,
)
from generative.trainers.fit import FitTrainer
from generative.training import Training


class Reals(Sampler):
    """Fresh real samples where no density is known, or of some classes only."""

    def __init__(self, data: Data, classes: Sequence[int] | None = None) -> None:
        self._data, self._classes = data, classes

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        if self._classes is None:
            return self._data.fresh(n, rng)
        return self._data.fresh(n, rng, self._classes)

    def tensors(self) -> dict[str, Tensor]:
        return {} if self._classes is None else {"classes": torch.tensor(self._classes)}


class KnownReals(DensitySampler):
    """Fresh real samples and their true density."""

    def __init__(self, data: Data, density: Density) -> None:
        self._data, self._density = data, density

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self._data.fresh(n, rng)

    def log_prob(self, x: Points) -> PerPoint:
        return self._density.log_prob(x)

    def tensors(self) -> dict[str, Tensor]:
        return {}


class UniformBox(Sampler):
    """Uniform over a box, [d] to [d]."""

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self._low, self._high = low, high

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        unit = torch.rand(n, *self._low.shape, generator=rng, device=rng.device)
        return self._low + (self._high - self._low) * unit

    def tensors(self) -> dict[str, Tensor]:
        return {"low": self._low, "high": self._high}


class OracleTrainer(FitTrainer):
    """Nothing is trained."""

    def fit(self, data: Data, seed: int) -> Sampler:
        return Reals(data) if data.density is None else KnownReals(data, data.density)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        return self.fit(data, 0)


@dataclass(frozen=True)
class SomeClassesTrainer(FitTrainer):
    """Nothing is trained. One class, chosen by the seed: alone, or the only one left out."""

    dropped: bool

    def fit(self, data: Data, seed: int) -> Sampler:
        chosen = seed % data.classes
        rest = [number for number in range(data.classes) if number != chosen]
        return Reals(data, rest if self.dropped and rest else [chosen])

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        return Reals(data, tensors["classes"].tolist())


class NoiseTrainer(FitTrainer):
    """The box is that of the training data, or of all images."""

    def fit(self, data: Data, seed: int) -> Sampler:
        low, high = data.training.amin(0), data.training.amax(0)
        if data.box is not None:
            low, high = (torch.full_like(low, edge) for edge in data.box)
        return UniformBox(low, high)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        return UniformBox(tensors["low"], tensors["high"])


@dataclass(frozen=True)
class Fixed(Recipe):
    """A recipe without settings."""

    engine: FitTrainer
    expected_seconds: float = 0.1

    def relevant(self, training: Training) -> dict[str, Any]:
        return {}

    def modules(self, training: Training) -> tuple[str, ...]:
        return (type(self.engine).__module__,)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> Trainer:
        return self.engine

    def seconds(self, training: Training) -> float:
        return self.expected_seconds


RECIPES.register("oracle", summary="Fresh real samples: the best a score can show", role="ceiling")(
    Fixed(OracleTrainer())
)

RECIPES.register(
    "noise", summary="Uniform over the box of the data: the worst that still spreads", role="floor"
)(Fixed(NoiseTrainer()))

RECIPES.register(
    "one-mode",
    summary="Fresh real samples of one mode (one digit in every place): what collapse looks like",
    role="floor",
    moded=True,
)(Fixed(SomeClassesTrainer(dropped=False)))

RECIPES.register(
    "drop-one",
    summary="Fresh real samples without one mode (without one digit): the smallest collapse",
    role="floor",
    moded=True,
)(Fixed(SomeClassesTrainer(dropped=True)))

"""The rows every table needs: real data as the ceiling, noise as the floor."""

from __future__ import annotations

from collections.abc import Mapping
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
    Training,
)
from generative.trainers.fit import FitTrainer


class Reals(Sampler):
    """Fresh real samples where no density is known."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self._data.fresh(n, rng)

    def tensors(self) -> dict[str, Tensor]:
        return {}


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


class NoiseTrainer(FitTrainer):
    """The box is that of the training data."""

    def fit(self, data: Data, seed: int) -> Sampler:
        return UniformBox(data.training.amin(0), data.training.amax(0))

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

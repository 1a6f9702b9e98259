"""Principal components, and logistic ones, as models that encode and decode."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, final

import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.contracts import RECIPES, Autoencoder, Data, Recipe, Trainer
from generative.logistic import newton
from generative.samplers import drawn_in_parts
from generative.trainers.fit import FitTrainer
from generative.training import Training

LATENT = 30
"""Components where a training says nothing, as Hinton & Salakhutdinov (2006) have it for digits."""
TINY = 1e-12


class Projected(Autoencoder):
    """offset [d] and factors [k, d]: what a code of 0 decodes to before the link, and what a
    coordinate of 1 adds; in units in which codes are N(0, I) a priori.
    """

    def __init__(self, offset: Tensor, factors: Tensor, data: Data) -> None:
        self._offset, self._factors, self._shape = offset, factors, data.shape
        self._box = data.box

    @final
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Clipped to the data's box."""
        drawn = drawn_in_parts(n, self._shape, lambda size: self.decode(self.codes(size, rng)))
        return drawn if self._box is None else drawn.clamp(*self._box)

    @final
    def codes(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, len(self._factors), generator=rng, device=rng.device)

    @final
    def tensors(self) -> dict[str, Tensor]:
        return {"offset": self._offset, "factors": self._factors}

    @final
    def linear(self, z: Tensor) -> Tensor:
        """What is decoded, before the link, [n, d]."""
        return self._offset + z @ self._factors


@final
class Principal(Projected):
    """Decoded examples are linear in their codes, and may leave the data's box."""

    def decode(self, z: Tensor) -> Tensor:
        return self.linear(z).unflatten(1, self._shape)

    def encode(self, x: Tensor) -> Tensor:
        """The projection: factors are at right angles."""
        return (x.flatten(1) - self._offset) @ self._factors.T / self.lengths.square()

    @property
    def lengths(self) -> Tensor:
        """The standard deviation of the examples along each component, [k]."""
        return self._factors.square().sum(1).sqrt()


@final
class LogisticPrincipal(Projected):
    """Decoded examples are the probabilities sigmoid(z factors + offset)."""

    def decode(self, z: Tensor) -> Tensor:
        return self.linear(z).sigmoid().unflatten(1, self._shape)

    def encode(self, x: Tensor) -> Tensor:
        """The code that is likeliest given N(0, I) for codes, by Newton's method from 0."""
        start = x.new_zeros(len(x), len(self._factors))
        with torch.no_grad():
            found = codes_of(start.double(), self._factors.T.double(), self._offset.double(), x)
        return found.to(x.dtype)


NEWTON_STEPS = 8


def codes_of(z: Tensor, factors: Tensor, offset: Tensor, x: Tensor) -> Tensor:
    """The likeliest codes of examples [n, ...], from z [n, k]; factors [d, k]."""
    ones = torch.ones_like(z[0])
    return newton(z, factors, offset, x.flatten(1).to(z.dtype), ones, NEWTON_STEPS)


@dataclass(frozen=True)
class Projection(FitTrainer):
    """latent: how many components."""

    latent: int

    @final
    def fit(self, data: Data, seed: int) -> Autoencoder:
        values = prod(data.shape)
        if self.latent > values:
            raise UsageError(
                f"latent={self.latent} components of examples of {values} values: expected "
                f"{values} at most"
            )
        x = data.training.flatten(1).double()
        mean = x.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(x.T).reshape(len(mean), -1))
        scales = values[-self.latent :].clamp(min=TINY).sqrt()
        factors = (vectors[:, -self.latent :] * scales).T.flip(0)
        return self.made(*self.found(x, mean, factors), data)

    @final
    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Autoencoder:
        return self.made(tensors["offset"], tensors["factors"], data)

    @abstractmethod
    def found(self, x: Tensor, mean: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
        """Offset and factors of training examples [n, d], float64, given their mean [d] and their
        leading principal components [k, d], as long as their standard deviations.
        """

    @abstractmethod
    def made(self, offset: Tensor, factors: Tensor, data: Data) -> Autoencoder:
        """The model of both."""


@final
@dataclass(frozen=True)
class PcaTrainer(Projection):
    """The leading eigenvectors of the training covariance (over n - 1)."""

    def found(self, x: Tensor, mean: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
        return mean.float(), factors.float().contiguous()

    def made(self, offset: Tensor, factors: Tensor, data: Data) -> Principal:
        return Principal(offset, factors, data)


@final
@dataclass(frozen=True)
class LogisticPcaTrainer(Projection):
    """x = sigmoid(z W + b): codes of all training examples and W, b in turn, by a damped Newton
    step each, from logits on principal components. Codes are N(0, I) a priori, which keeps them
    finite where pixels are 0 or 1; W has a ridge of the same kind, b a thousandth of it.
    """

    rounds: int = 12

    def found(self, x: Tensor, mean: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
        z = (x - mean) @ factors.T / factors.square().sum(1)
        k, ones = len(factors), x.new_ones(len(x), 1)
        rate = mean.clamp(1e-3, 1 - 1e-3)
        start = torch.cat([factors / (rate * (1 - rate)).sqrt(), rate.logit()[None]]).T
        ridge = x.new_ones(k + 1)
        ridge[k] = 1e-3
        weights, none = start, x.new_zeros(len(x))
        for _ in range(self.rounds):
            weights = newton(weights, torch.cat([z, ones], 1), none, x.T, ridge, 1)
            z = newton(z, weights[:, :k], weights[:, k], x, x.new_ones(k), 1)
        return weights[:, k].float(), weights[:, :k].T.float().contiguous()

    def made(self, offset: Tensor, factors: Tensor, data: Data) -> LogisticPrincipal:
        return LogisticPrincipal(offset, factors, data)


@final
@dataclass(frozen=True)
class Projecting(Recipe):
    """engine: the estimator of some components. cost: seconds for 4,000 digits and 30 of them."""

    engine: Callable[[int], FitTrainer]
    cost: float

    def relevant(self, training: Training) -> dict[str, Any]:
        return {"latent": LATENT if training.latent is None else training.latent}

    def modules(self, training: Training) -> tuple[str, ...]:
        return (__name__,)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> Trainer:
        return self.engine(self.relevant(training)["latent"])

    def seconds(self, training: Training) -> float:
        return self.cost


RECIPES.register(
    "pca",
    paper="doi:10.1080/14786440109462720",
    summary="Principal components: the best linear codes (Pearson 1901)",
    role="baseline",
    encodes=True,
    images_only="it has 30 components where nothing is said",
    exempt=(
        "decoded-codes-are-examples: they are linear in their codes, and may leave the box",
        "codes-can-be-had-of-examples: what they decode to may leave the box",
    ),
)(Projecting(PcaTrainer, cost=2.0))

RECIPES.register(
    "logistic-pca",
    paper="doi:10.1126/science.1127647",
    summary="Probabilities whose logits are linear in a code (Hinton & Salakhutdinov 2006)",
    role="baseline",
    encodes=True,
    images_only="its pixels are probabilities",
)(Projecting(LogisticPcaTrainer, cost=20.0))

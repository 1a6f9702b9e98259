"""One Gaussian for a mixture of two: every local minimum of a divergence between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from bench.figures.densities import Curve, gaussian

Divergence = Callable[[Curve, Curve, Curve], float]
"""Of a grid, the mixture and the Gaussian."""

STARTS = ((-2.0, -0.3, 0.3, 2.0), (0.5, 2.0))
"""Means and deviations. None is in the middle, where descent would rest on a saddle."""
APART = 0.05
"""Minima whose means and deviations differ by less are one."""


@dataclass(frozen=True)
class Mixture:
    """share N(-2, .5^2) + (1 - share) N(2, .5^2) (as of Goodfellow 2016, arXiv:1701.00160, figure
    14), on a grid that holds all of it but 1e-50.
    """

    share: float
    at: float = 2.0
    std: float = 0.5

    @cached_property
    def x(self) -> Curve:
        return np.linspace(-14.0, 14.0, 2801)

    @cached_property
    def density(self) -> Curve:
        left, right = (gaussian(self.x, mean, self.std) for mean in (-self.at, self.at))
        return self.share * left + (1 - self.share) * right

    @property
    def mean(self) -> float:
        return self.at * (1 - 2 * self.share)

    @property
    def deviation(self) -> float:
        return float(np.sqrt(self.std**2 + self.at**2 - self.mean**2))


@dataclass(frozen=True)
class Fit:
    """A Gaussian, and the divergence that it is a local minimum of, there."""

    mean: float
    std: float
    value: float


def fits(mixture: Mixture, divergence: Divergence) -> list[Fit]:
    """Its local minima over means and deviations, the least first."""
    found: list[Fit] = []

    def value(at: np.ndarray) -> float:
        return divergence(
            mixture.x, mixture.density, gaussian(mixture.x, at[0], float(np.exp(at[1])))
        )

    for mean, std in product(*STARTS):
        made = minimize(
            value,
            (mean, np.log(std)),
            method="L-BFGS-B",
            bounds=[(-4.0, 4.0), (np.log(0.2), np.log(4.0))],
            options={"ftol": 1e-15, "gtol": 1e-9},
        )
        fit = Fit(float(made.x[0]), float(np.exp(made.x[1])), float(made.fun))
        if not any(_same(fit, other) for other in found):
            found.append(fit)
    return sorted(found, key=lambda fit: fit.value)


def _same(one: Fit, other: Fit) -> bool:
    return abs(one.mean - other.mean) < APART and abs(one.std - other.std) < APART


def profile(mixture: Mixture, divergence: Divergence, means: Sequence[float]) -> list[float]:
    """At each mean the least divergence over deviations: of a grid's, which local minima can't
    deceive, refined between its neighbours.
    """
    return [_least(mixture, divergence, mean) for mean in means]


def _least(mixture: Mixture, divergence: Divergence, mean: float) -> float:
    def value(log_std: float) -> float:
        q = gaussian(mixture.x, mean, float(np.exp(log_std)))
        return divergence(mixture.x, mixture.density, q)

    at = np.linspace(np.log(0.2), np.log(6.0), 40)
    best = int(np.argmin([value(one) for one in at]))
    between = (at[max(0, best - 1)], at[min(len(at) - 1, best + 1)])
    found: Any = minimize_scalar(value, bounds=between, method="bounded")
    return float(found.fun)

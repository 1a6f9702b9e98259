"""The parts of diffusion and flow models: noise levels, preconditioning, Heun's method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

RHO = 7.0

Slope = Callable[[Tensor, float], Tensor]
"""The derivative of x [n, ...] by time at a time."""


class Preconditioning(NamedTuple):
    """D(x; s) = skip x + out F(into x; noise)."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


def preconditioning(sigma: Tensor, spread: float = 1.0) -> Preconditioning:
    """Of noise levels, each of the shape of sigma (Karras et al. 2022, table 1): F sees inputs of
    variance 1 and is asked for targets of variance 1 where the data have the standard deviation
    `spread`.
    """
    total = sigma.square() + spread**2
    return Preconditioning(
        skip=spread**2 / total,
        out=sigma * spread / total.sqrt(),
        into=1 / total.sqrt(),
        noise=sigma.log() / 4,
    )


def noise_levels(steps: int, lowest: float, highest: float, rho: float = RHO) -> list[float]:
    """From the highest over the lowest to 0, steps + 1 of them (equation 5)."""
    if steps == 1:
        return [highest, 0.0]
    low, high = lowest ** (1 / rho), highest ** (1 / rho)
    return [(high + i / (steps - 1) * (low - high)) ** rho for i in range(steps)] + [0.0]


class Steps(NamedTuple):
    """How many, and which are Euler's, by number: they cost one evaluation, Heun's two."""

    number: int
    euler: frozenset[int]

    @property
    def evaluations(self) -> int:
        """Of the network, for a sample."""
        return 2 * self.number - len(self.euler)


def steps_to_noiseless(evaluations: int) -> Steps:
    """Where the slope at the end isn't known, as with noise that ends at 0: the last step is
    Euler's, and with an even number the first is, too.
    """
    if evaluations % 2:
        count = (evaluations + 1) // 2
        return Steps(count, frozenset({count - 1}))
    count = evaluations // 2 + 1
    return Steps(count, frozenset({0, count - 1}))


def steps_throughout(evaluations: int) -> Steps:
    """Where the slope is known everywhere: Heun's, and with an odd number the last is Euler's."""
    count = (evaluations + 1) // 2
    return Steps(count, frozenset({count - 1} if evaluations % 2 else ()))


def heun(slope: Slope, x: Tensor, times: Sequence[float], euler: frozenset[int]) -> Tensor:
    """x [n, ...] carried along its slope from the first time to the last by Heun's method, of
    second order (Karras et al. 2022, algorithm 1); the steps in `euler` are Euler's.
    """
    for number, (time, after) in enumerate(pairwise(times)):
        first, span = slope(x, time), after - time
        end = x + span * first
        x = end if number in euler else x + span * (first + slope(end, after)) / 2
    return x


def ancestral(denoised: Slope, x: Tensor, levels: Sequence[float], rng: torch.Generator) -> Tensor:
    """x [n, ...] at the first noise level carried to the last by draws of the Gaussian that a
    denoised example leaves for the next level (Ho et al. 2020, equations 6 and 7, in units where
    noise is added and nothing shrinks).
    """
    for level, after in pairwise(levels):
        kept = (after / level) ** 2
        x = denoised(x, level) * (1 - kept) + x * kept
        if after:
            noise = torch.randn(x.shape, generator=rng, device=x.device)
            x = x + after * (1 - kept) ** 0.5 * noise
    return x

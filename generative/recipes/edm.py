"""Diffusion as Karras et al. (2022) design it: a preconditioned denoiser, Heun's method."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Annotated

import torch
from torch import Tensor

from generative.carried import Carried, timed
from generative.contracts import RECIPES, PerExample, Sampler
from generative.denoisers import Timed
from generative.diffusion import (
    ancestral,
    heun,
    noise_levels,
    preconditioning,
    steps_to_noiseless,
)
from generative.games.solo import Objective
from generative.networks import Mlp, Shape
from generative.recipes.solo import ON_POINTS, Solo
from generative.training import Bounds

LOWEST, HIGHEST = 0.003, 10.0
"""Noise levels in the data's standard deviations."""
BAND = 4.0
"""Of the frequencies at which a network sees ln(sigma) / 4."""


def denoised(network: Timed, x: Tensor, sigma: Tensor) -> Tensor:
    """D(x; sigma), [n, d], of noisy examples [n, d] and their levels [n], in the network's units
    (equation 7).
    """
    skip, out, into, noise = preconditioning(sigma)
    return skip[:, None] * x + out[:, None] * network(into[:, None] * x, x, noise)


@dataclass(frozen=True)
class Denoising(Objective):
    """lambda(s) |D(x + s n; s) - x|^2 with lambda = 1 / c_out^2 (equation 8), an example each.

    Deviations: ln s is uniform between ln .003 and ln 10 in units of the data's standard deviation,
    where the paper has a normal about -1.2 that rests on images; the network sees, on points, waves
    of the noisy example, which they need (Tancik et al. 2020); no dropout, no augmentation; the
    moving average has a decay of .999, in steps and not in images. waves: how many, 0 for none.
    evaluations_per_sample: passes of the network for a sample. stochastic: whether samples are
    drawn level by level, as Ho et al. (2020) do, and not by the deterministic flow.
    """

    stochastic: bool = False
    waves: Annotated[int, Bounds(0, 64)] = 0
    evaluations_per_sample: Annotated[int, Bounds(1, 1_000)] = 35
    average: float = 0.999

    def network(self, layers: Mlp, shape: Shape) -> Timed:
        return timed(layers, shape, self.waves, BAND, self.evaluations_per_sample)

    def loss(self, network: Timed, x: Tensor, rng: torch.Generator) -> PerExample:
        share = torch.rand(len(x), generator=rng, device=x.device)
        sigma = torch.exp(log(LOWEST) + share * (log(HIGHEST) - log(LOWEST)))
        noise = torch.randn(x.shape, generator=rng, device=x.device)
        error = denoised(network, x + sigma[:, None] * noise, sigma) - x
        return error.square().sum(1) / preconditioning(sigma).out.square()

    def fitted(self, network: Timed, box: tuple[float, float] | None) -> Sampler:
        return Diffusion(network, box, self.stochastic)


class Diffusion(Carried):
    """Noise is carried to examples by a denoiser."""

    def __init__(
        self, network: Timed, box: tuple[float, float] | None, stochastic: bool = False
    ) -> None:
        super().__init__(network, box)
        self._stochastic = stochastic

    def denoise(self, x: Tensor, level: float) -> Tensor:
        """D(x; level) in the network's units, [n, d]."""
        return denoised(self._network, x, torch.full((len(x),), level, device=x.device))

    def carry(self, noise: Tensor, rng: torch.Generator) -> Tensor:
        x = HIGHEST * noise
        if self._stochastic:
            return ancestral(self.denoise, x, noise_levels(self.passes, LOWEST, HIGHEST), rng)
        steps = steps_to_noiseless(self.passes)
        levels = noise_levels(steps.number, LOWEST, HIGHEST)
        return heun(lambda x, s: (x - self.denoise(x, s)) / s, x, levels, steps.euler)


RECIPES.register(
    "edm",
    paper="arXiv:2206.00364",
    summary="Diffusion with a preconditioned denoiser and Heun's method (Karras et al. 2022)",
    role="baseline",
)(Solo(Denoising(), cost=0.8, on_points=ON_POINTS))

RECIPES.register(
    "edm-ancestral",
    paper="arXiv:2006.11239",
    summary="The same denoiser, samples drawn level by level (Ho et al. 2020)",
    role="baseline",
)(Solo(Denoising(stochastic=True, evaluations_per_sample=100), cost=0.8, on_points=ON_POINTS))

"""Diffusion as Karras et al. (2022) design it: a preconditioned denoiser, Heun's method."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Annotated, final

import torch
from torch import Tensor

from generative.carried import Carried, timed
from generative.contracts import RECIPES, Invertible, PerExample, Sampler
from generative.denoisers import Timed
from generative.diffusion import (
    ancestral,
    heun,
    noise_levels,
    preconditioning,
    steps_to_noiseless,
)
from generative.games.solo import Objective
from generative.networks import Network, Shape
from generative.recipes.solo import ON_POINTS, Solo
from generative.training import Bounds

LOWEST, HIGHEST = 0.003, 10.0
"""Noise levels of points in the data's standard deviations."""


@dataclass(frozen=True)
class Levels:
    """Noise levels in the data's standard deviations. centre, spread: of ln sigma in training, a
    normal; without a spread it is uniform between the two.
    """

    lowest: float = LOWEST
    highest: float = HIGHEST
    centre: float = 0.0
    spread: float = 0.0

    def drawn(self, n: int, rng: torch.Generator) -> Tensor:
        """Of n examples in training, [n]."""
        if self.spread:
            normal = torch.randn(n, generator=rng, device=rng.device)
            return torch.exp(self.centre + self.spread * normal)
        share = torch.rand(n, generator=rng, device=rng.device)
        low, high = log(self.lowest), log(self.highest)
        return torch.exp(low + share * (high - low))


OF_POINTS = Levels()
OF_IMAGES = Levels(0.002 / 0.5, 80 / 0.5, -1.2 - log(0.5), 1.2)
"""Those of the paper's table 1, whose data have a standard deviation of .5."""


def noise_of(shape: Shape) -> Levels:
    """Those that suit examples of this shape."""
    return OF_POINTS if len(shape) == 1 else OF_IMAGES


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

    Deviations: on points ln s is uniform between ln .003 and ln 10 in units of the data's standard
    deviation, where the paper has a normal about -1.2 that rests on images, and images have here;
    the network sees, on points, waves of the noisy example, which they need (Tancik et al. 2020);
    under a protocol of convolutions a small U-Net without attention; no dropout, no augmentation;
    the moving average has a decay of .999, in steps and not in images. waves: how many, 0 for none.
    evaluations_per_sample: passes of the network for a sample. stochastic: whether samples are
    drawn level by level, as Ho et al. (2020) do, and not by the deterministic flow.
    """

    stochastic: bool = False
    waves: Annotated[int, Bounds(0, 64)] = 0
    evaluations_per_sample: Annotated[int, Bounds(1, 1_000)] = 35
    average: float = 0.999

    def network(self, layers: Network, shape: Shape) -> Timed:
        return timed(layers, shape, self.waves, BAND, self.evaluations_per_sample)

    def loss(self, network: Timed, x: Tensor, rng: torch.Generator) -> PerExample:
        sigma = noise_of(network.shape).drawn(len(x), rng)
        noise = torch.randn(x.shape, generator=rng, device=x.device)
        error = denoised(network, x + sigma[:, None] * noise, sigma) - x
        return error.square().sum(1) / preconditioning(sigma).out.square()

    def fitted(self, network: Timed, box: tuple[float, float] | None) -> Sampler:
        return Ancestral(network, box) if self.stochastic else Diffusion(network, box)


class Denoiser(Carried):
    """Noise is carried to examples by a denoiser."""

    def denoise(self, x: Tensor, level: float) -> Tensor:
        """D(x; level) in the network's units, [n, d]."""
        return denoised(self._network, x, torch.full((len(x),), level, device=x.device))

    def levels(self, steps: int) -> list[float]:
        """From the highest over the lowest to 0."""
        ends = noise_of(self._network.shape)
        return noise_levels(steps, ends.lowest, ends.highest)


@final
class Diffusion(Denoiser, Invertible):
    """By the deterministic flow, which goes both ways."""

    def slope(self, x: Tensor, level: float) -> Tensor:
        """dx / dsigma (equation 4)."""
        return (x - self.denoise(x, level)) / level

    def carry(self, noise: Tensor, rng: torch.Generator) -> Tensor:
        steps = steps_to_noiseless(self.passes)
        levels = self.levels(steps.number)
        return heun(self.slope, levels[0] * noise, levels, steps.euler)

    def returned(self, x: Tensor) -> Tensor:
        """There and back, each in the steps of a sample; an example is taken to have the lowest
        noise.
        """
        network, steps = self._network, steps_to_noiseless(self.passes)
        levels = self.levels(steps.number)
        with torch.no_grad():
            noisy = heun(self.slope, network.inner(x), levels[-2::-1], frozenset())
            return self.boxed(network.outer(heun(self.slope, noisy, levels, steps.euler)))


@final
class Ancestral(Denoiser):
    """Level by level, with new noise at each."""

    def carry(self, noise: Tensor, rng: torch.Generator) -> Tensor:
        levels = self.levels(self.passes)
        return ancestral(self.denoise, levels[0] * noise, levels, rng)


RECIPES.register(
    "edm",
    paper="arXiv:2206.00364",
    summary="Diffusion with a preconditioned denoiser and Heun's method (Karras et al. 2022)",
    role="baseline",
    inverts=True,
)(Solo(Denoising(), cost=0.8, on_points=ON_POINTS))

RECIPES.register(
    "edm-ancestral",
    paper="arXiv:2006.11239",
    summary="The same denoiser, samples drawn level by level (Ho et al. 2020)",
    role="baseline",
)(Solo(Denoising(stochastic=True, evaluations_per_sample=100), cost=0.8, on_points=ON_POINTS))

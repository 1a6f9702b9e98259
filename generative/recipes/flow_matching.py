"""Flow matching (Lipman et al. 2023): a velocity field from noise to examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import Tensor

from generative.carried import Carried, timed
from generative.contracts import RECIPES, Invertible, PerExample, Sampler
from generative.denoisers import Timed
from generative.diffusion import Steps, heun, steps_throughout
from generative.games.solo import Objective
from generative.networks import Network, Shape
from generative.recipes.solo import ON_POINTS, Solo
from generative.training import Bounds

BAND = 1.0
"""Of the frequencies at which a network sees 2 t - 1."""


def velocity(network: Timed, x: Tensor, t: Tensor) -> Tensor:
    """v(x, t), [n, d], of points on the way [n, d] and their times [n] in [0, 1]."""
    return network(x, x, 2 * t - 1)


@dataclass(frozen=True)
class Matching(Objective):
    """|v(x_t, t) - (x - n)|^2 at x_t = (1 - t) n + t x, n ~ N(0, I) drawn independently of x, t
    uniform (equation 23 with sigma_min = 0).

    Deviations: as of `edm`: on points waves of x_t, a moving average with a decay of .999, a small
    U-Net under a protocol of convolutions; Heun's method in equal steps of t and no adaptive
    solver. waves: how many, 0 for none. evaluations_per_sample: passes of the network for a sample.
    """

    waves: Annotated[int, Bounds(0, 64)] = 0
    evaluations_per_sample: Annotated[int, Bounds(1, 1_000)] = 100
    average: float = 0.999

    def network(self, layers: Network, shape: Shape) -> Timed:
        return timed(layers, shape, self.waves, BAND, self.evaluations_per_sample)

    def loss(self, network: Timed, x: Tensor, rng: torch.Generator) -> PerExample:
        t = torch.rand(len(x), generator=rng, device=x.device)
        noise = torch.randn(x.shape, generator=rng, device=x.device)
        on_the_way = (1 - t)[:, None] * noise + t[:, None] * x
        return (velocity(network, on_the_way, t) - (x - noise)).square().sum(1)

    def fitted(self, network: Timed, box: tuple[float, float] | None) -> Sampler:
        return Flowing(network, box)


@final
class Flowing(Carried, Invertible):
    """Noise is carried to examples by a velocity, and back."""

    def velocity(self, x: Tensor, time: float) -> Tensor:
        """v(x, time) in the network's units, [n, d]."""
        return velocity(self._network, x, torch.full((len(x),), time, device=x.device))

    def carry(self, noise: Tensor, rng: torch.Generator) -> Tensor:
        steps, times = self._times()
        return heun(self.velocity, noise, times, steps.euler)

    def _times(self) -> tuple[Steps, list[float]]:
        steps = steps_throughout(self.passes)
        return steps, [i / steps.number for i in range(steps.number + 1)]

    def returned(self, x: Tensor) -> Tensor:
        """There and back, each in the steps of a sample."""
        network, (steps, times) = self._network, self._times()
        with torch.no_grad():
            noise = heun(self.velocity, network.inner(x), times[::-1], frozenset())
            return self.boxed(network.outer(heun(self.velocity, noise, times, steps.euler)))


RECIPES.register(
    "flow-matching",
    paper="arXiv:2210.02747",
    summary="Flow matching, independent pairs, straight paths, Heun's method (Lipman et al. 2023)",
    role="baseline",
    inverts=True,
)(Solo(Matching(), cost=0.8, on_points=ON_POINTS))

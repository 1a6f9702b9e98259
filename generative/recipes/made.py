"""A masked autoregressive density (Germain et al. 2015), each value a mixture of Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log, prod
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.contracts import RECIPES, PerExample
from generative.densities import Dense, Likely, log_normal
from generative.discretised import Discretised
from generative.games.solo import hidden_layers
from generative.likelihood import Likelihood
from generative.networks import Mlp, Network, Shape
from generative.recipes.solo import Solo
from generative.training import Bounds

SPREAD = 2.0
"""Components begin between minus and plus so many deviations, as wide as they are apart."""
LARGEST = 10.0
"""How far the logarithm of a component's width goes, either way."""


class Masked(nn.Linear):
    """A linear layer without some of its connections: mask [outputs, inputs]."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())

    def forward(self, input: Tensor, rows: slice = slice(None)) -> Tensor:
        """All outputs, or some of them, [n, rows]."""
        weight = self.weight[rows] * self.mask[rows]
        return functional.linear(input, weight, self.bias[rows])


def masks(inputs: int, widths: tuple[int, ...], each: int) -> list[Tensor]:
    """Of the layers from d inputs to `each` outputs for every one of them (equations 8 and 9): a
    hidden unit of degree m sees inputs 1 to m, output j units of degrees below j. Degrees of
    hidden units go round from 1 to d - 1.
    """
    first = torch.arange(1, inputs + 1)
    hidden = [torch.arange(width) % max(1, inputs - 1) + 1 for width in widths]
    last = first.repeat_interleave(each)
    found = [after[:, None] >= before for before, after in pairwise([first, *hidden])]
    return [*found, last[:, None] > (hidden[-1] if hidden else first)]


class Autoregressive(Dense):
    """Value j is a mixture of Gaussians whose weights, means and widths are functions of the values
    before it.
    """

    offsets: Tensor

    def __init__(self, layers: Mlp, shape: Shape, components: int) -> None:
        super().__init__(shape)
        self.components = components
        *hidden, last = masks(prod(shape), layers.widths, 3 * components)
        parts = [part for mask in hidden for part in (Masked(mask), nn.SiLU())]
        self.body = nn.Sequential(*parts, Masked(last))
        spread = torch.linspace(-SPREAD, SPREAD, components)
        self.register_buffer("offsets", spread if components > 1 else torch.zeros(1))

    def begin(self, rng: torch.Generator) -> None:
        """Nothing is drawn."""

    def conditionals(self, x: Tensor, of: slice = slice(None)) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, means and log widths of all values of x [n, d], or of some of them: [n, of,
        components] each.
        """
        weights, means, widths = self.raw(x, of)
        log_widths = widths + log(2 * SPREAD / self.components)
        return weights.log_softmax(2), means + self.offsets, log_widths.clamp(-LARGEST, LARGEST)

    def raw(self, x: Tensor, of: slice = slice(None)) -> tuple[Tensor, ...]:
        """What they are made of, as the network puts it out; the last layer's other rows are left
        out.
        """
        *hidden, last = self.body
        for part in hidden:
            x = part(x)
        first, end, _ = of.indices(prod(self.shape))
        each = 3 * self.components
        rows: Tensor = last(x, slice(first * each, end * each))
        return rows.unflatten(1, (end - first, 3, self.components)).unbind(2)

    @property
    def passes(self) -> int:
        return prod(self.shape)

    def log_density(self, x: Tensor) -> PerExample:
        weights, means, widths = self.conditionals(x)
        deviations = (x[:, :, None] - means) * (-widths).exp()
        return (weights + log_normal(deviations) - widths).logsumexp(2).sum(1)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """One pass for each value."""
        x = torch.zeros(n, prod(self.shape), device=rng.device)
        for j in range(x.shape[1]):
            weights, means, widths = (each[:, 0] for each in self.conditionals(x, slice(j, j + 1)))
            chosen = torch.multinomial(weights.exp(), 1, generator=rng)
            noise = torch.randn(n, 1, generator=rng, device=rng.device)
            drawn = means.gather(1, chosen) + widths.gather(1, chosen).exp() * noise
            x[:, j] = drawn[:, 0]
        return x


@dataclass(frozen=True)
class Masking(Likelihood):
    """Minus the log density of each example, in nats.

    Deviations: real values and so mixtures of Gaussians for conditionals (as "MADE MoG" in
    Papamakarios et al. 2017), for images mixtures of logistic distributions between half steps of
    a pixel (Salimans et al. 2017), which are exact; one order of the values,
    degrees that go round and are not drawn, no connections past the hidden layers.
    """

    components: Annotated[int, Bounds(1, 1_000)] = 16
    average: float = 0.999

    def network(self, layers: Network, shape: Shape) -> Likely:
        own = Autoregressive(hidden_layers(layers), (prod(shape),), self.components)
        return own if len(shape) == 1 else Discretised(own, shape, self.components)


RECIPES.register(
    "made",
    paper="arXiv:1502.03509",
    summary="Masked autoregressive density, mixtures of 16 Gaussians (Germain et al. 2015)",
    role="baseline",
)(Solo(Masking(), cost=0.8))

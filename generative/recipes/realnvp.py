"""A normalising flow of affine couplings (Dinh et al. 2017): exact density, one pass a sample."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Annotated

import torch
from torch import Tensor, nn

from generative.contracts import RECIPES, PerExample
from generative.densities import Dense, Likely, log_normal
from generative.dequantised import Dequantised
from generative.games.solo import hidden_layers
from generative.likelihood import Likelihood
from generative.networks import Mlp, Network, Shape
from generative.recipes.solo import Solo
from generative.training import Bounds

LARGEST = 2.0
"""How far a coupling's log scale goes."""


class Coupling(nn.Module):
    """y = b x + (1 - b)(x exp(s(b x)) + t(b x)) (equation 9): what the mask b [d] keeps is seen,
    the rest is moved.
    """

    mask: Tensor

    def __init__(self, layers: Mlp, mask: Tensor) -> None:
        super().__init__()
        size = len(mask)
        self.register_buffer("mask", mask)
        self.body = layers.build(size, 2 * size)

    def moves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log scales and shifts, [n, d] each, 0 where the mask keeps; x: either end."""
        scale, shift = self.body(x * self.mask).chunk(2, dim=1)
        rest = 1 - self.mask
        return rest * LARGEST * torch.tanh(scale / LARGEST), rest * shift

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y, and the log determinant of dy/dx, [n]."""
        scale, shift = self.moves(x)
        return x * scale.exp() + shift, scale.sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """The x of a y."""
        scale, shift = self.moves(y)
        return (y - shift) * (-scale).exp()


class CouplingFlow(Dense):
    """Couplings one after another, from examples to N(0, I); masks keep the even and the odd values
    in turn.
    """

    def __init__(self, layers: Mlp, shape: Shape, couplings: int) -> None:
        super().__init__(shape)
        even = (torch.arange(prod(shape)) % 2 == 0).float()
        masks = [even if i % 2 == 0 else 1 - even for i in range(couplings)]
        self.couplings = nn.ModuleList(Coupling(layers, mask) for mask in masks)

    def begin(self, rng: torch.Generator) -> None:
        """Nothing is drawn."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What x [n, d] is carried to, and the log determinant of the Jacobian, [n]."""
        total = x.new_zeros(len(x))
        for coupling in self.couplings:
            x, one = coupling(x)
            total = total + one
        return x, total

    def inverse(self, u: Tensor) -> Tensor:
        """What is carried to u [n, d]."""
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, Coupling)
            u = coupling.inverse(u)
        return u

    @property
    def passes(self) -> int:
        return 1

    def log_density(self, x: Tensor) -> PerExample:
        u, volume = self(x)
        return log_normal(u).sum(1) + volume

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        return self.inverse(torch.randn(n, prod(self.shape), generator=rng, device=rng.device))


@dataclass(frozen=True)
class Flow(Likelihood):
    """Minus the log density of each example, in nats.

    Deviations: dense couplings in turn over all values, of images too: no squeezing, no scales of
    their own; images by dequantised pixels and their logits, as the paper has it, with .05 left at
    either end, where it is at one; no batch norm;
    log scales are 2 tanh(s / 2) and not a learned multiple of tanh; of the protocol's hidden layers
    all but one, half as wide, in each coupling, so that all have about the weights of one network.
    """

    couplings: Annotated[int, Bounds(2, 100)] = 8
    average: float = 0.999

    def network(self, layers: Network, shape: Shape) -> Likely:
        hidden = hidden_layers(layers)
        widths = tuple(max(1, width // 2) for width in hidden.widths[1:] or hidden.widths)
        own = CouplingFlow(Mlp(widths, hidden.activation), (prod(shape),), self.couplings)
        return own if len(shape) == 1 else Dequantised(own, shape)


RECIPES.register(
    "realnvp",
    paper="arXiv:1605.08803",
    summary="Normalising flow of 8 affine couplings, exact density (Dinh et al. 2017)",
    role="baseline",
)(Solo(Flow(), cost=2.5))

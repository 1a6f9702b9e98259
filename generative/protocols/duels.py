"""Games of two numbers: Dirac-GAN (Mescheder et al. 2018), and the game of Salimans et al. 2016.

The data are one point, 0. The generator draws theta, or f(theta) - 1 with f(x) = x below 0 and x^2
above; the critic's logit of x is psi x, or (psi - 1) x. Nobody gains at (0, 0), or at (1, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.networks import Initialisation, Network, Shape
from generative.protocols.base import PROTOCOLS, Momentum, Protocol


class Drawn(nn.Module):
    """One number, whatever the code: codes [n, latent] to [n, 1]; they have a slope of 0."""

    def __init__(self, start: float, bent: bool) -> None:
        super().__init__()
        self.number, self.bent = nn.Parameter(torch.tensor(start)), bent

    def forward(self, z: Tensor) -> Tensor:
        value = self.number
        if self.bent:
            value = torch.where(value < 0, value, value.square()) - 1
        return value + 0 * z[:, :1]


class Sloped(nn.Module):
    """A line through 0: [n, 1] to [n, outputs], all alike."""

    def __init__(self, start: float, bent: bool, outputs: int) -> None:
        super().__init__()
        self.number, self.bent = nn.Parameter(torch.tensor(start)), bent
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        return ((self.number - float(self.bent)) * x).expand(-1, self.outputs)


@dataclass(frozen=True)
class TwoNumbers(Network):
    """start: where either player begins. bent: whether it is the game of Salimans et al."""

    start: float
    bent: bool = False

    @property
    def still(self) -> float:
        """Where nobody gains, for either player."""
        return float(self.bent)

    @property
    def slope(self) -> float:
        """Of what the generator draws by its number, there."""
        return 2.0 if self.bent else 1.0

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        _refuse(shape)
        return Drawn(self.start, self.bent)

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        _refuse(shape)
        return Sloped(self.start, self.bent, outputs)

    @property
    def mixes(self) -> bool:
        return False

    def unmixed(self) -> TwoNumbers:
        return self


def _refuse(shape: Shape) -> None:
    if tuple(shape) != (1,):
        raise UsageError(
            f"a game of two numbers needs points of one coordinate, got examples of shape "
            f"{list(shape)}: take the data set dirac, or choose another protocol"
        )


def _protocol(generator: TwoNumbers, critic: TwoNumbers, rate: float) -> Protocol:
    return Protocol(
        generator=generator,
        critic=critic,
        initialisation=Initialisation(),
        generator_adam=Momentum(rate, 0.0, 0.0),
        critic_adam=Momentum(rate, 0.0, 0.0),
        latent=1,
        batch=2,
        steps=500,
        milliseconds=1.0,
    )


PROTOCOLS.register(
    "dirac",
    paper="arXiv:1801.04406",
    summary="Dirac-GAN from (1, 1): two numbers, gradient descent at 0.2, 500 steps",
)(_protocol(TwoNumbers(1.0), TwoNumbers(1.0), 0.2))

PROTOCOLS.register(
    "dirac-near",
    paper="arXiv:1801.04406",
    summary="Dirac-GAN from (0.001, 0.001), where every smooth loss is a linear game",
)(_protocol(TwoNumbers(1e-3), TwoNumbers(1e-3), 0.2))

PROTOCOLS.register(
    "salimans",
    paper="arXiv:1606.03498",
    summary="V = (f(x) - 1) (y - 1) from (-0.5, 0.5), steps of 0.02 (section 3.3)",
)(_protocol(TwoNumbers(-0.5, bent=True), TwoNumbers(0.5, bent=True), 0.02))

PROTOCOLS.register(
    "salimans-near",
    paper="arXiv:1606.03498",
    summary="The same from (1.001, 1.001), beside where nobody gains, steps of 0.1",
)(_protocol(TwoNumbers(1.001, bent=True), TwoNumbers(1.001, bent=True), 0.1))

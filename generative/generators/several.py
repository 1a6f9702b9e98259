"""Several generators in one: the code says which of them draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Annotated

import torch
from torch import Tensor, nn

from generative.contracts import Codes
from generative.networks import Network, Shape
from generative.parts import GENERATORS, GeneratorForm, Prior, Priored, Switchable
from generative.training import Bounds

EDGE = 1e-6


def shares(codes: Codes, count: int, prior: Prior) -> tuple[Tensor, Codes]:
    """Which of `count` generators each code is for, [n], and the code that it gets, [n, latent].

    The range of the first number is cut into parts that are equally likely; within its part it is
    stretched to the whole prior again, so that every generator's codes are of the prior.
    """
    quantile = _quantiles(codes, prior)
    place = (quantile * count).long().clamp(0, count - 1)
    return place, _stretched(codes, quantile * count - place, prior)


def shares_by(codes: Codes, weights: Tensor, prior: Prior) -> tuple[Tensor, Codes]:
    """The same with parts that are as likely as weights [count], not negative, say."""
    ends = weights.double().cumsum(0)
    ends = ends / ends[-1]
    quantile = _quantiles(codes, prior)
    place = torch.searchsorted(ends, quantile, right=True).clamp(max=len(ends) - 1)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    return place, _stretched(codes, (quantile - starts[place]) / (ends - starts)[place], prior)


def _quantiles(codes: Codes, prior: Prior) -> Tensor:
    """Of the first number of each code, in float64."""
    first = codes[:, 0].double()
    return (first + 1) / 2 if prior == "uniform" else (1 + torch.erf(first / sqrt(2))) / 2


def _stretched(codes: Codes, rest: Tensor, prior: Prior) -> Codes:
    """Codes whose first number has the quantiles `rest`."""
    rest = rest.clamp(EDGE, 1 - EDGE)
    own = 2 * rest - 1 if prior == "uniform" else torch.erfinv(2 * rest - 1) * sqrt(2)
    return torch.cat([own.to(codes.dtype)[:, None], codes[:, 1:]], 1)


def drawn_by(networks: Sequence[nn.Module] | nn.ModuleList, place: Tensor, codes: Codes) -> Tensor:
    """Examples of codes, each by the network at its place [n]; of no codes by the first."""
    if not len(codes):
        return networks[0](codes)
    order, drawn = [], []
    idle = torch.zeros((), dtype=codes.dtype, device=codes.device)
    for number, network in enumerate(networks):
        rows = (place == number).nonzero()[:, 0]
        if len(rows):
            order.append(rows)
            drawn.append(_drawn(network, codes[rows]))
        else:  # nothing to draw: a slope of 0
            idle = idle + sum(0 * weight.sum() for weight in network.parameters())
    return torch.cat(drawn)[torch.cat(order).argsort()] + idle


def _drawn(network: nn.Module, codes: Codes) -> Tensor:
    """One code alone goes through twice: batch norm needs two."""
    if len(codes) > 1 or not network.training:
        return network(codes)
    return network(torch.cat([codes, codes]))[:1]


class Alternatives(nn.Module):
    """Codes [n, latent] to examples, each by the generator that it is for."""

    def __init__(self, networks: list[nn.Module], prior: Prior) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.prior: Prior = prior

    def forward(self, z: Codes) -> Tensor:
        place, own = shares(z, len(self.networks), self.prior)
        return drawn_by(self.networks, place, own)


@dataclass(frozen=True)
class Several(GeneratorForm, Priored, Switchable):
    """`generators` networks of the protocol's layers, equally likely."""

    generators: Annotated[int, Bounds(1, 64)] = 4
    prior: Prior = "normal"

    @property
    def off(self) -> bool:
        return self.generators == 1

    def of_prior(self, prior: Prior) -> Several:
        return replace(self, prior=prior)

    def build(self, generator: Network, latent: int, shape: Shape, batch: int) -> nn.Module:
        networks = [generator.generator(latent, shape) for _ in range(self.generators)]
        return Alternatives(networks, self.prior)

    def begin(self, network: nn.Module, codes: Codes) -> None:
        """Nothing is drawn."""


GENERATORS.register(
    "several",
    paper="arXiv:1704.02906",
    summary="Several networks, of which each code chooses one",
    exempt="an-example-is-of-its-own-code[images]: it has the batch norm of the protocol",
)(Several())

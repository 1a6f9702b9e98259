"""A CNN with radial basis functions on its features: a defence by gradients that underflow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attacks.classifiers.cnn import Cnn
from attacks.classifiers.contracts import CLASSIFIERS, Shape
from attacks.classifiers.fitting import Fitted, Schedule


class Kernels(nn.Module):
    """Features [n, d] to exp(-sum_j w_kj^2 (x_j - c_kj)^2), [n, units], of learned centres c and
    scales w: Mahalanobis distances with a diagonal metric each.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(units, inputs))
        self.scales = nn.Parameter(torch.full((units, inputs), inputs**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        metric = self.scales.square()
        cross = x.square() @ metric.T - 2 * x @ (metric * self.centres).T
        return torch.exp(-(cross + (metric * self.centres.square()).sum(1)).clamp_min(0.0))


@dataclass(frozen=True)
class Kernelised:
    """The small CNN up to its hidden layer, without the activation; `Kernels`, a linear layer."""

    units: int = 50

    def __call__(self, shape: Shape, classes: int) -> nn.Module:
        *features, _, _ = Cnn()(shape, classes).children()
        return nn.Sequential(
            *features, Kernels(Cnn().hidden, self.units), nn.Linear(self.units, classes)
        )


CLASSIFIERS.register(
    "cnn@kernels",
    paper="arXiv:1903.01015",
    summary="The small CNN with radial basis functions on its features",
)(Fitted(Kernelised(), Schedule(epochs=20, lr=2e-3), milliseconds=10.0))

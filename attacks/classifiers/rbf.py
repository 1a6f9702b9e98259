"""A shallow network of radial basis functions: sure only near what it has seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from attacks.classifiers.contracts import CLASSIFIERS, Shape
from attacks.classifiers.fitting import Fitted, Objective, Schedule


class RadialUnits(nn.Module):
    """log p(y | x) = -(x - mu_y)^T diag(beta_y) (x - mu_y), independent for each class."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(0.3 * torch.rand(classes, inputs))
        self.slack = nn.Parameter(torch.full((classes, inputs), -5.0))

    def forward(self, x: Tensor) -> Tensor:
        beta = softplus(self.slack)
        cross = x.square() @ beta.T - 2 * x @ (beta * self.centres).T
        return -(cross + (beta * self.centres.square()).sum(1)).clamp_min(1e-6)


@dataclass(frozen=True)
class Radial:
    """Flattened images into one radial unit a class."""

    def __call__(self, shape: Shape, classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), RadialUnits(math.prod(shape), classes))


@dataclass(frozen=True)
class Independent(Objective):
    """Binary cross-entropy of every class's own probability, exp(logit)."""

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        logits = network(images)
        present = logits.gather(1, labels[:, None])[:, 0]
        absent = torch.log(-torch.expm1(logits)).scatter(1, labels[:, None], 0.0)
        return -(present + absent.sum(1)).mean()


CLASSIFIERS.register(
    "rbf",
    paper="arXiv:1412.6572",
    summary="Shallow radial basis functions, one a class",
    confidence="exp",
)(Fitted(Radial(), Schedule(epochs=60, lr=1e-2), Independent()))

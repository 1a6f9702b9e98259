"""Training against images whose features are scattered without labels: one that hides gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from attacks.classifiers.cnn import RADIUS, SCHEDULE, Cnn
from attacks.classifiers.contracts import CLASSIFIERS
from attacks.classifiers.fitting import Fitted, Objective

REGULARISED = 0.01


def transport(features: Tensor, others: Tensor, rounds: int) -> Tensor:
    """The cost of carrying one batch of features [n, d] onto another [n, d], every one of the same
    weight: 1 minus the cosine, the plan by `rounds` of Sinkhorn (Cuturi 2013) on logarithms, a
    constant.
    """
    cost = 1 - normalize(features) @ normalize(others).T
    kernel = -cost.detach() / REGULARISED
    weight = -math.log(len(features))
    left = right = torch.zeros_like(kernel[:, 0])
    for _ in range(rounds):
        left = weight - (kernel + right).logsumexp(1)
        right = weight - (kernel + left[:, None]).logsumexp(0)
    return ((left[:, None] + kernel + right).exp() * cost).sum()


@dataclass(frozen=True)
class Scattering(Objective):
    """Zhang & Wang 2019, arXiv:1907.10764, algorithm 1: from a uniform start within the radius one
    sign step up the transport cost between the logits of the batch and of what it becomes; then
    cross-entropy there, labels smoothed by `smoothing`. The batch's images are the others of each.
    Deviation: the radius grows over the training's share `ramp`, as for our other CNNs.
    """

    radius: float
    smoothing: float = 0.5
    rounds: int = 20
    ramp: float = 0.5

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        scattered = self.scattered(network, images, self.radius * min(1.0, progress / self.ramp))
        return cross_entropy(network(scattered), labels, label_smoothing=self.smoothing)

    def scattered(self, network: nn.Module, images: Tensor, radius: float) -> Tensor:
        """The images that the step is trained on, within the radius and in [0, 1]."""
        begun = (images + radius * (2 * torch.rand_like(images) - 1)).clamp(0, 1).requires_grad_()
        with torch.no_grad():
            clean = network(images)
        (slope,) = torch.autograd.grad(transport(clean, network(begun), self.rounds), begun)
        step = (begun + radius * slope.sign() - images).clamp(-radius, radius)
        return (images + step).clamp(0, 1).detach()


CLASSIFIERS.register(
    "cnn@scattering",
    paper="arXiv:1907.10764",
    summary="The small CNN trained on scattered features, linf .3",
)(Fitted(Cnn(), SCHEDULE, Scattering(RADIUS), cost=2.5, milliseconds=10.0))

"""Minibatch discrimination (Salimans et al. 2016, section 3.2): a critic that compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, linalg, nn

from bench.core.errors import UsageError
from generative.contracts import RECIPES
from generative.networks import Network, Shape, layers_of
from generative.parts import CRITICS, CriticForm
from generative.recipes.adversarial import Adversarial
from generative.training import Bounds

PAIRS = 2**16
"""How many gaps are worked on at a time: what a core's cache holds."""


class Gaps(torch.autograd.Function):
    """The L1 distances between all points of each of several sets, [sets, n, n] of [dimensions,
    sets, n], one dimension at a time: the differences themselves would be the largest tensor of a
    step, written and read some ten times.
    """

    @staticmethod
    def forward(ctx: Any, points: Tensor) -> Tensor:
        ctx.save_for_backward(points)
        first, *rest = points
        gaps = _differences(first).abs_()
        for one in rest:
            gaps.add_(_differences(one).abs_())
        return gaps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Of the usual operations, so that it has a gradient itself."""
        (points,), (gradient,) = ctx.saved_tensors, gradients
        both = gradient + gradient.mT
        return torch.stack([linalg.vecdot(both, _differences(one).sign_()) for one in points])


def _near(points: Tensor) -> Tensor:
    """How near each is to all of its set, itself among them, [sets, n]."""
    gaps: Any = Gaps.apply(points)
    return torch.exp(-gaps).sum(2)


def _differences(x: Tensor) -> Tensor:
    """Of all pairs, [sets, n, n] of [sets, n]."""
    with torch.no_grad():
        return x[:, :, None] - x[:, None, :]


class Comparing(nn.Module):
    """Logits of an example's features f and of o, how near it is to its batch mates: o_b is the sum
    over the others of exp(-|M_b - M'_b|_1), with M = f T. Without the example itself, as in the
    authors' code.
    """

    def __init__(self, body: nn.Module, width: int, kernels: int, dimensions: int) -> None:
        super().__init__()
        self.body, self.kernels = body, kernels
        self.projection = nn.Linear(width, kernels * dimensions, bias=False)
        self.head = nn.Linear(width + kernels, 1)

    def nearness(self, features: Tensor) -> Tensor:
        """How near each is to the others, [n, kernels]."""
        projected = self.projection(features)
        exact = projected.to(torch.promote_types(projected.dtype, torch.float32))
        points = exact.unflatten(1, (self.kernels, -1)).permute(2, 1, 0).contiguous()
        near = [_near(block) for block in points.split(max(1, PAIRS // len(features) ** 2), 1)]
        return torch.cat(near).T - 1

    def forward(self, x: Tensor, features: bool = False) -> Any:
        seen = self.body(x).flatten(1)
        logits = self.head(torch.cat([seen, self.nearness(seen)], 1)).flatten(0)
        return (logits, seen) if features else logits


@dataclass(frozen=True)
class Discrimination(CriticForm):
    """Before the last layer of the protocol's critic. Deviations: 16 kernels of 5 dimensions for
    their 100 of 5, without learned scales.
    """

    kernels: Annotated[int, Bounds(1, 1_000)] = 16
    dimensions: Annotated[int, Bounds(1, 100)] = 5

    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        *body, head = layers_of(critic.encoder(shape, 1))
        if not isinstance(head, nn.Linear):
            raise UsageError(
                "minibatch discrimination: expected a critic that ends in a linear layer, got "
                f"{type(head).__name__}: choose another protocol"
            )
        features = nn.Sequential(*body)
        return Comparing(features, head.in_features, self.kernels, self.dimensions)


CRITICS.register(
    "minibatch-discrimination",
    paper="arXiv:1606.03498",
    summary="Sees how near an example is to its batch mates",
    batchwise=True,
    cost=1.2,
    pair_cost=6.5e-4,
)(Discrimination())

RECIPES.register(
    "minibatch-gan",
    paper="arXiv:1606.03498",
    summary="Non-saturating GAN with minibatch discrimination (Salimans et al. 2016)",
    parts=("nonsaturating", "minibatch-discrimination"),
)(Adversarial("nonsaturating", critic="minibatch-discrimination"))

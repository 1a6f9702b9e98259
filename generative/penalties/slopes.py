"""What every gradient penalty needs: the slope of the critic at each example."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import Critic


def squared_slopes(critic: Critic, points: Tensor) -> Float[Tensor, " n"]:
    """|grad C(x)|^2 at each of the points [n, ...], with a graph to the critic's weights."""
    # A critic may have come about by looking at these points: its slope is at fixed weights.
    points = points.clone() if points.requires_grad else points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def slopes(critic: Critic, points: Tensor) -> Float[Tensor, " n"]:
    """|grad C(x)| at each of the points; its own slope is finite where it is 0."""
    return (squared_slopes(critic, points) + 1e-24).sqrt()


def uniform(points: Tensor, rng: torch.Generator) -> Tensor:
    """A number in [0, 1) for each of the points, shaped to multiply them."""
    draws = torch.rand(len(points), generator=rng, device=points.device, dtype=points.dtype)
    return draws.view(-1, *[1] * (points.ndim - 1))

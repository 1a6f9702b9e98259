"""Many logistic regressions on one design at once, by damped Newton steps."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

HALVINGS = 12
"""Of a step that would not make its regression better; after these it is not made."""
CHUNK = 1_000

Design = Float[Tensor, "m k"]
Targets = Float[Tensor, "n m"]
Weights = Float[Tensor, "n k"]


def loss(z: Weights, design: Design, offset: Tensor, x: Targets, ridge: Tensor) -> Tensor:
    """The cross-entropy of x in [0, 1] and sigmoid(design z + offset), in nats, plus
    sum_k ridge_k z_k^2 / 2, for each of n. offset: [m]. ridge: [k], above 0.
    """
    logits = z @ design.T + offset
    return (softplus(logits) - x * logits).sum(1) + (ridge * z.square()).sum(1) / 2


def newton(
    z: Weights, design: Design, offset: Tensor, x: Targets, ridge: Tensor, steps: int
) -> Weights:
    """What `steps` of Newton's method make of z; the loss is strictly convex in z. A step that does
    not lower the loss of its regression is halved until it does.
    """
    outer = (design[:, :, None] * design[:, None, :]).flatten(1)
    parts = zip(z.split(CHUNK), x.split(CHUNK), strict=True)
    return torch.cat([_newton(own, design, offset, y, ridge, outer, steps) for own, y in parts])


def _newton(
    z: Tensor, design: Tensor, offset: Tensor, x: Tensor, ridge: Tensor, outer: Tensor, steps: int
) -> Tensor:
    k = design.shape[1]
    for _ in range(steps):
        mean = (z @ design.T + offset).sigmoid()
        slope = (mean - x) @ design + ridge * z
        curvature = ((mean * (1 - mean)) @ outer).unflatten(1, (k, k)) + torch.diag(ridge)
        z = _damped(z, torch.linalg.solve(curvature, slope), design, offset, x, ridge)
    return z


def _damped(
    z: Tensor, step: Tensor, design: Tensor, offset: Tensor, x: Tensor, ridge: Tensor
) -> Tensor:
    before = loss(z, design, offset, x, ridge)
    share, found, better = 1.0, z, torch.zeros_like(before, dtype=torch.bool)
    for _ in range(HALVINGS):
        tried = z - share * step
        now = ~better & (loss(tried, design, offset, x, ridge) <= before)
        found = torch.where(now[:, None], tried, found)
        better, share = better | now, share / 2
        if bool(better.all()):
            break
    return found

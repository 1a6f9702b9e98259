"""A player some steps on, with the graph of how it came there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

Vector = Float[Tensor, " weights"]


@dataclass(frozen=True, eq=False)
class Virtual:
    """A network whose weights are one vector. moments: its optimiser's, as vectors; step: how many
    steps that has made. The network's own buffers are left alone.
    """

    network: nn.Module
    weights: Vector
    buffers: dict[str, Tensor]
    moments: tuple[Vector, ...]
    step: int
    group: dict[str, Any]

    def __call__(self, *inputs: Tensor, **asked: Any) -> Any:
        names, own = zip(*self.network.named_parameters(), strict=True)
        parts = self.weights.split([weight.numel() for weight in own])
        shaped = {n: p.view(w.shape) for n, p, w in zip(names, parts, own, strict=True)}
        return functional_call(self.network, {**shaped, **self.buffers}, inputs, asked)

    def stepped(self, gradient: Vector) -> Virtual:
        """One step on, along a gradient."""
        rule = _adam if len(self.moments) == 2 else _momentum
        weights, moments = rule(self, gradient)
        return replace(self, weights=weights, moments=moments, step=self.step + 1)


def virtual(network: nn.Module, optimiser: torch.optim.Optimizer) -> Virtual:
    """A network as it stands, with its optimiser's moments."""
    own = list(network.parameters())
    adam = isinstance(optimiser, torch.optim.Adam)
    names = ("exp_avg", "exp_avg_sq") if adam else ("momentum_buffer",)
    slots = [optimiser.state.get(weight, {}) for weight in own]
    moments = tuple(
        _vector([slot.get(name, torch.zeros_like(w)) for slot, w in zip(slots, own, strict=True)])
        for name in names
    )
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    step = int(slots[0].get("step", 0)) if slots else 0
    group = optimiser.param_groups[0]
    return Virtual(network, _vector(own).requires_grad_(), buffers, moments, step, group)


def _vector(tensors: Sequence[Tensor]) -> Vector:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def _adam(at: Virtual, gradient: Vector) -> tuple[Vector, tuple[Vector, ...]]:
    """Kingma & Ba 2015, Algorithm 1. Where the second moment is 0 its root has no slope."""
    (first, second), (low, high) = at.moments, at.group["betas"]
    first = first.lerp(gradient, 1 - low)
    second = second * high + (1 - high) * gradient.square()
    seen = second > 0
    root = torch.where(seen, torch.where(seen, second, 1.0).sqrt(), 0.0)
    spread = root / (1 - high ** (at.step + 1)) ** 0.5 + at.group["eps"]
    move = at.group["lr"] / (1 - low ** (at.step + 1)) * first / spread
    return at.weights - move, (first, second)


def _momentum(at: Virtual, gradient: Vector) -> tuple[Vector, tuple[Vector, ...]]:
    """Stochastic gradient descent with momentum, as PyTorch has it."""
    (kept,) = at.moments
    kept = kept * at.group["momentum"] + gradient
    return at.weights - at.group["lr"] * kept, (kept,)

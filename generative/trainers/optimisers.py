"""Optimisers as protocols name them, and what changes of them on the way."""

from __future__ import annotations

import torch
from torch import nn

from generative.protocols.base import Momentum, Optimiser


def optimiser(network: nn.Module, chosen: Optimiser) -> torch.optim.Optimizer:
    """Over all weights of a network, in one fused kernel."""
    weights = network.parameters()
    if isinstance(chosen, Momentum):
        return torch.optim.SGD(weights, lr=chosen.lr, momentum=chosen.start, fused=True)
    return torch.optim.Adam(weights, lr=chosen.lr, betas=chosen.betas, eps=chosen.eps, fused=True)


def schedule(
    optimiser: torch.optim.Optimizer, chosen: Optimiser, step: int, progress: float, decay: float
) -> None:
    """Set what changes on the way: the rate and momentum of the step after `step` others.

    decay: the share of the training, at its end, over which the rate falls to 0.
    """
    left = 1.0 if not decay else min(1.0, max(0.0, (1 - progress) / decay))
    for group in optimiser.param_groups:
        if isinstance(chosen, Momentum):
            done = min(1.0, step / chosen.over)
            group["momentum"] = chosen.start + done * (chosen.end - chosen.start)
            group["lr"] = chosen.lr * chosen.decay**step * left
        elif decay:
            group["lr"] = chosen.lr * left


def chunks_of(n: int, size: int) -> list[int]:
    """`n` in parts of at most `size`."""
    return [size] * (n // size) + ([n % size] if n % size else [])

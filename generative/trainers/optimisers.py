"""What trainers share: optimiser steps, samples in parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generative.protocols.base import Adam, Momentum, Optimiser


def optimiser(network: nn.Module, chosen: Optimiser) -> torch.optim.Optimizer:
    """Over all weights of a network, in one fused kernel."""
    weights = network.parameters()
    if isinstance(chosen, Momentum):
        return torch.optim.SGD(weights, lr=chosen.lr, momentum=chosen.start, fused=True)
    return torch.optim.Adam(weights, lr=chosen.lr, betas=chosen.betas, eps=chosen.eps, fused=True)


def schedule(optimiser: torch.optim.Optimizer, chosen: Optimiser, step: int) -> None:
    """Set what changes on the way: the rate and momentum of the step after `step` others."""
    if isinstance(chosen, Adam):
        return
    for group in optimiser.param_groups:
        done = min(1.0, step / chosen.over)
        group["momentum"] = chosen.start + done * (chosen.end - chosen.start)
        group["lr"] = chosen.lr * chosen.decay**step


def descend(loss: Tensor, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """One step; gradients are taken for this network's weights alone."""
    weights = list(network.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = _as_laid_out(gradient, weight)
    optimiser.step()


def _as_laid_out(gradient: Tensor, weight: Tensor) -> Tensor:
    """With the weight's strides: fused optimisers go through the memory of both side by side, and
    the gradient of a gradient, or of a compiled network, may lie in another order.
    """
    same = gradient.stride() == weight.stride()
    return gradient if same else torch.empty_like(weight).copy_(gradient)


def chunks_of(n: int, size: int) -> list[int]:
    """`n` in parts of at most `size`."""
    return [size] * (n // size) + ([n % size] if n % size else [])

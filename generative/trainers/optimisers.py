"""What trainers share: Adam steps, its state as a tree, samples in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from generative.contracts import Tree
from generative.protocols.base import Adam


def optimiser(network: nn.Module, adam: Adam) -> torch.optim.Adam:
    """Adam over all weights of a network, in one fused kernel."""
    return torch.optim.Adam(
        network.parameters(), lr=adam.lr, betas=adam.betas, eps=adam.eps, fused=True
    )


def descend(loss: Tensor, network: nn.Module, optimiser: torch.optim.Adam) -> None:
    """One step; gradients are taken for this network's weights alone."""
    weights = list(network.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimiser.step()


def copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of their own, so that going on with a state leaves its packed tree alone."""
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def pack_optimiser(optimiser: torch.optim.Adam) -> Tree:
    """The moments and step counts of each weight, in the order of the weights."""
    state: Mapping[int, Mapping[str, Any]] = optimiser.state_dict()["state"]
    return [copied(state[index]) for index in sorted(state)]


def unpack_optimiser(optimiser: torch.optim.Adam, packed: Sequence[Mapping[str, Any]]) -> None:
    """Put back what `pack_optimiser` gave."""
    fresh = optimiser.state_dict()
    fresh["state"] = {index: copied(slot) for index, slot in enumerate(packed)}
    optimiser.load_state_dict(fresh)


def chunks_of(n: int, size: int) -> list[int]:
    """`n` in parts of at most `size`."""
    return [size] * (n // size) + ([n % size] if n % size else [])

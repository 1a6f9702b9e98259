"""A network of somebody's, on another device for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch import nn

Network = TypeVar("Network")


@contextmanager
def moved(network: Network, device: str) -> Iterator[Network]:
    """The network on a device; afterwards its weights and buffers are where they were, and those
    that they were.
    """
    if not isinstance(network, nn.Module):
        yield network
        return
    tensors = [*network.parameters(), *network.buffers()]
    away = [(tensor, tensor.data) for tensor in tensors if tensor.device.type != device]
    if away:
        network.to(device)
    try:
        yield network
    finally:
        for tensor, data in away:
            tensor.data = data

"""A network of somebody's, used and left as it was found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Network = TypeVar("Network")


@contextmanager
def frozen(network: Network) -> Iterator[Network]:
    """The network, its parameters without gradients; afterwards all of it is as it was.

    That is: requires_grad, gradients, buffers (the statistics of batch norm among them) and the
    mode of every module, also where what is done in here fails. What is no module is left alone.
    """
    if not isinstance(network, nn.Module):
        yield network
        return
    weights = [(weight, weight.requires_grad, weight.grad) for weight in network.parameters()]
    gradients = [None if gradient is None else gradient.clone() for _, _, gradient in weights]
    buffers = [(module, _buffers(module)) for module in network.modules()]
    modes = [(part, part.training) for part in network.modules() if hasattr(part, "training")]
    for weight, _, _ in weights:
        weight.requires_grad_(False)
    try:
        yield network
    finally:
        for (weight, required, gradient), value in zip(weights, gradients, strict=True):
            weight.requires_grad_(required)
            if gradient is not None and value is not None:
                _fill(gradient, value)
            weight.grad = gradient
        for module, found in buffers:
            _put_back(module, found)
        for module, training in modes:
            module.training = training


Buffers = dict[str, tuple[Tensor | None, Tensor | None]]


def _buffers(module: nn.Module) -> Buffers:
    """Its own buffers by name, each with a copy of its content."""
    own = dict(module.named_buffers(recurse=False))
    return {name: (buffer, buffer.clone()) for name, buffer in own.items()}


def _put_back(module: nn.Module, found: Buffers) -> None:
    now = dict(module.named_buffers(recurse=False))
    for name, (buffer, value) in found.items():
        if buffer is not None and value is not None:
            _fill(buffer, value)
        if now.get(name) is not buffer:
            setattr(module, name, buffer)
    for name in now.keys() - found.keys():
        delattr(module, name)


def _fill(tensor: Tensor, value: Tensor) -> None:
    """Its content as it was. One that is expanded can't have changed; one of inference mode changes
    in that mode alone.
    """
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        if not torch.equal(tensor, value):
            with suppress(RuntimeError):
                tensor.copy_(value)


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


@contextmanager
def random_state_kept(device: str = "cpu") -> Iterator[None]:
    """Afterwards the global generators of Python, NumPy and torch are where they were: a network
    with dropout draws from them.
    """
    state: Any = (random.getstate(), np.random.get_state())
    devices = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(state[0])
            np.random.set_state(state[1])

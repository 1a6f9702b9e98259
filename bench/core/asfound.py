"""A network left as it was found, whatever was done with it."""

from __future__ import annotations

import random
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.randomness import global_state, set_global_state

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@contextmanager
def left_as_found(model: object) -> Iterator[None]:
    """The model and the random state as `AsFound` has them afterwards, also after an exception."""
    found = AsFound(model)
    try:
        yield
    finally:
        found.put_back()


class AsFound:
    """What may change about a network that is only looked at: the mode of every module, whether
    parameters ask for gradients and which they hold, buffers bit for bit (their number, identity
    and values), hooks, and the global random state of torch, NumPy and Python.

    The values of parameters are not kept: nothing that asks a network for its answers trains it.
    Of what is no module the random state alone is known.
    """

    def __init__(self, model: object) -> None:
        modules = list(model.modules()) if isinstance(model, nn.Module) else []
        weights = list(model.parameters()) if isinstance(model, nn.Module) else []
        self._modes = [(part, part.training) for part in modules if hasattr(part, "training")]
        self._weights = [_Weight(weight) for weight in weights]
        self._buffers = [_Buffers(module) for module in modules]
        self._hooks = [
            (hooks, dict(hooks))
            for module in modules
            for name in HOOKS
            if isinstance(hooks := vars(module).get(name), MutableMapping)
        ]
        self._random = global_state(), np.random.get_state(), random.getstate()

    def put_back(self) -> None:
        """Make it so again."""
        with torch.inference_mode(False), torch.no_grad():
            for kept in (*self._weights, *self._buffers):
                kept.put_back()
        for module, training in self._modes:
            module.training = training
        for hooks, before in self._hooks:
            if dict(hooks) != before:
                hooks.clear()
                hooks.update(before)
        set_global_state(self._random[0])
        np.random.set_state(self._random[1])
        random.setstate(self._random[2])


class _Weight:
    """A parameter's flag and gradient."""

    def __init__(self, weight: Tensor) -> None:
        self._weight, self._asks, self._gradient = weight, weight.requires_grad, weight.grad
        self._value = None if weight.grad is None else weight.grad.clone()

    def put_back(self) -> None:
        if self._weight.requires_grad != self._asks:
            self._weight.requires_grad_(self._asks)
        if self._gradient is not None and self._value is not None:
            _restore(self._gradient, self._value)
        self._weight.grad = self._gradient


class _Buffers:
    """A module's own buffers: which, in which order, of what value."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._values = {
            name: (buffer, buffer.clone())
            for name, buffer in module.named_buffers(recurse=False, remove_duplicate=False)
        }
        self._registered = _registered(module)
        self._before = dict(self._registered)
        self._passing = set(module._non_persistent_buffers_set)

    def put_back(self) -> None:
        for buffer, value in self._values.values():
            _restore(buffer, value)
        now = self._registered
        if not self._registered:
            for name, (buffer, _) in self._values.items():
                setattr(self._module, name, buffer)
        elif [*now] != [*self._before] or any(now[k] is not v for k, v in self._before.items()):
            now.clear()
            now.update(self._before)
            self._module._non_persistent_buffers_set = self._passing


def _registered(module: nn.Module) -> dict[str, Tensor | None]:
    """A module's table of buffers; a scripted module has none that could be written to."""
    found = vars(module).get("_buffers")
    return found if isinstance(found, dict) else {}


def _restore(tensor: Tensor, value: Tensor) -> None:
    """The value in place, unless it is there already: a view of itself can't be written to."""
    with torch.inference_mode(tensor.is_inference()):
        if tensor.shape != value.shape:
            tensor.set_(value)  # pyright: ignore[reportArgumentType]
        elif not torch.equal(tensor, value):
            tensor.copy_(value)


def inference_tensors(model: Any) -> bool:
    """Whether a network has tensors made in torch.inference_mode, which no gradient passes."""
    if not isinstance(model, nn.Module):
        return False
    return any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers()))

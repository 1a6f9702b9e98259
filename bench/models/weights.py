"""Weights in a file, for a network that has a name: out of the usual wrappers and prefixes."""

from __future__ import annotations

import pathlib
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.core.errors import UsageError, one_line
from bench.core.files import pointer_advice
from bench.datasets.images import shown

WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "classifier"),
    *("model_state", "weights", "params", "state", "model_ema", "ema"),
)
"""What checkpoints call the weights that they hold beside other things, likeliest first."""
PREFIXES = ("", "module.", "_orig_mod.", "module._orig_mod.", "model.", "net.", "network.")
"""What DataParallel, torch.compile, Lightning and trainers put before every name."""
DEEPEST = 4
HARMLESS: tuple[Any, ...] = (
    *(kind for kind in vars(np.dtypes).values() if isinstance(kind, type)),
    *(np.dtype, np.ndarray, np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]),
    *(Namespace, pathlib.PosixPath, pathlib.PurePosixPath),
)
"""What checkpoints hold beside tensors, and what runs nothing: numbers and arrays of NumPy, the
arguments of a script, paths."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name. Raises UsageError for a file that can't be read without
    running code, or holds none.
    """
    if not path.is_file():
        raise UsageError(f"`weights`: {shown(path)} is not there")
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            with torch.serialization.safe_globals([*HARMLESS]):
                found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file makes torch raise nearly anything
        raise UsageError(
            f"`weights`: {shown(path)} was refused: expected tensors alone (.safetensors, or a "
            f"state_dict that loads with weights_only=True): {one_line(error, 100)}"
            f"{pointer_advice(path)}"
        ) from error
    state = _state_in(found)
    if state is None:
        held = one_line(", ".join(map(str, found)), 80) if isinstance(found, Mapping) else ""
        raise UsageError(
            f"`weights`: {shown(path)}: expected a state_dict, or one under "
            f"{', '.join(WRAPPERS[:4])}, got a {type(found).__name__}{' of ' * bool(held)}{held}"
        )
    return state


def _state_in(found: Any, deep: int = 0) -> dict[str, Tensor] | None:
    """The table of tensors in a checkpoint, however it is wrapped."""
    if not isinstance(found, Mapping) or deep > DEEPEST:
        return None
    tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    inner = [found[name] for name in WRAPPERS if isinstance(found.get(name), Mapping)]
    for one in inner:
        if (state := _state_in(one, deep + 1)) is not None:
            return state
    return tensors or None


def fit(model: nn.Module, state: Mapping[str, Tensor], origin: str) -> nn.Module:
    """A model with such weights. Raises UsageError where they don't fit."""
    wanted = model.state_dict().keys()
    chosen = next(_ways(wanted, state), state)
    try:
        model.load_state_dict(dict(chosen))
    except (RuntimeError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"`weights`: {origin} does not fit the model: {one_line(error, 150)}"
        ) from error
    return model


def _ways(wanted: Iterable[str], state: Mapping[str, Tensor]) -> Iterator[Mapping[str, Tensor]]:
    """The tensors under one prefix that have all the names wanted; and those that lack a prefix
    which all of these have. The usual prefixes come first.
    """
    names = list(wanted)
    for prefix in prefixes(names, state):
        if all(f"{prefix}{name}" in state for name in names):
            yield {
                key.removeprefix(prefix): value
                for key, value in state.items()
                if key.startswith(prefix)
            }
    for prefix in PREFIXES[1:]:
        if names and all(name.startswith(prefix) for name in names):
            yield {f"{prefix}{key}": value for key, value in state.items()}


def prefixes(names: Sequence[str], state: Iterable[str]) -> list[str]:
    """What may stand before the names in a table of weights, likeliest first: the most of them are
    there behind it.
    """
    keys = set(state)
    found = {key.removesuffix(name) for name in names[:1] for key in keys if key.endswith(name)}
    found |= {prefix for prefix in PREFIXES if any(key.startswith(prefix) for key in keys)}
    counts = {prefix: sum(f"{prefix}{name}" in keys for name in names) for prefix in found}
    usual = {prefix: place for place, prefix in enumerate(PREFIXES)}
    return sorted(found, key=lambda p: (-counts[p], usual.get(p, len(usual)), p))

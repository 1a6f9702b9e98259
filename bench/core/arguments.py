"""What Python users pass as arguments, as plain values: NumPy numbers, devices, paths, None.

Standard library only: types are known by what they can do.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from bench.core.errors import UsageError


def as_plain(value: Any) -> Any:
    """A value of Python's own: NumPy's and torch's numbers as numbers, their arrays as tuples, a
    path as a string, a torch.device by its name; what is none of these as it is.
    """
    if isinstance(value, Mapping):
        return {as_plain(key): as_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return tuple(as_plain(one) for one in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if callable(getattr(value, "tolist", None)):
        return as_plain(value.tolist())
    if type(value).__module__ == "torch" and type(value).__name__ in ("device", "dtype"):
        return str(value)
    return value


def given(function: Callable[..., Any], values: Mapping[str, Any], *kept: str) -> dict[str, Any]:
    """The arguments of a call as plain values, None as the default where that is no None. kept:
    those that stay as they are.
    """
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        value = values[name]
        if value is None and parameter.default is not parameter.empty:
            value = parameter.default
        found[name] = value if name in kept else as_plain(value)
    return found


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number of a range. Raises UsageError, with the parameter's name, for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"`{name}`: expected {low:,} to {high:,}, got {_short(value)}")
    return value


def numbers(name: str, value: Any, count: int | None = None) -> tuple[float, ...]:
    """Numbers: one, several, or a text with commas between. Raises UsageError, with the parameter's
    name, for others, and where they are not `count`.
    """
    parts = value.split(",") if isinstance(value, str) else value
    parts = [] if value == "" else parts if isinstance(parts, list | tuple) else [parts]
    try:
        found = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        raise UsageError(
            f"`{name}`: expected numbers with commas between, got {_short(value)}"
        ) from None
    if count is not None and len(found) != count:
        raise UsageError(f"`{name}`: expected {count} numbers, got {_short(value)}")
    return found


def text(name: str, value: Any) -> str:
    """A name that is not empty. Raises UsageError, with the parameter's name, for what is none."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"`{name}`: expected a name, got {_short(value)}")
    return value


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"

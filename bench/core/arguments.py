"""What Python users pass as arguments, as plain values: NumPy numbers, devices, paths, None.

Standard library only: types are known by what they can do.
"""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, wraps
from types import NoneType, UnionType
from typing import Any, TypeVar, cast

from bench.core.errors import UsageError, one_line

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Pairs = Mapping[str, T] | Iterable[tuple[str, T]]
"""What a verb takes several of by name: a dict, or pairs where a name may come twice."""


def pairs_of(given: Pairs[T]) -> tuple[tuple[str, T], ...]:
    """The pairs of a dict or of a sequence."""
    found: Any = given.items() if isinstance(given, Mapping) else given
    return tuple(found)


def checked(*kept: str) -> Callable[[F], F]:
    """A verb that gets plain values (`as_plain`) of the types that it says, None as the default
    where that is no None, and otherwise raises UsageError with the parameter's name. kept: the
    parameters that take whatever comes.
    """

    def decorate(function: F) -> F:
        @wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            bound = inspect.signature(function).bind(*given, **named)
            for name, parameter in bound.signature.parameters.items():
                if name not in bound.arguments or name in kept or _is_more(parameter):
                    continue
                value = as_plain(bound.arguments[name])
                if value is None and parameter.default is not parameter.empty:
                    value = parameter.default
                elif not fits(value, hint := _hints(function).get(name, Any)):
                    raise UsageError(f"`{name}`: expected {told(hint)}, got {_short(value)}")
                bound.arguments[name] = value
            return function(*bound.args, **bound.kwargs)

        return cast(F, call)

    return decorate


@cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function)


def _is_more(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is of a type, as far as it can be looked at without using it up."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if origin in (UnionType, typing.Union):
        return any(fits(value, one) for one in inside)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is bool:
        return isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    kind = origin or hint
    if not isinstance(kind, type) or not isinstance(value, kind):
        return not isinstance(kind, type)
    if kind is tuple:
        pairs = zip(value, inside, strict=False)
        return not inside or (len(value) == len(inside) and all(fits(*pair) for pair in pairs))
    if kind in (Sequence, Iterable) and inside:
        plural = not isinstance(value, str | bytes | Mapping)
        return plural and (
            isinstance(value, Iterator) or all(fits(one, inside[0]) for one in value)
        )
    return not isinstance(value, Mapping) or not inside or all(fits(k, inside[0]) for k in value)


WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
KINDS = {Sequence: "several", Iterable: "several", Mapping: "a table", Callable: "a function"}


def told(hint: Any) -> str:
    """A type in words."""
    inside = [one for one in typing.get_args(hint) if one is not NoneType]
    if typing.get_origin(hint) in (UnionType, typing.Union):
        return " or ".join(dict.fromkeys(told(one) for one in inside))
    kind = typing.get_origin(hint) or hint
    return WORDS.get(kind) or KINDS.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def as_plain(value: Any) -> Any:
    """A value of Python's own: NumPy's and torch's numbers as numbers, their arrays as tuples, a
    path as a string, a torch.device by its name; what is none of these as it is.
    """
    if isinstance(value, Mapping):
        return {as_plain(key): as_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | range):
        return tuple(as_plain(one) for one in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if callable(getattr(value, "tolist", None)):
        try:
            return as_plain(value.tolist())
        except Exception:  # a tensor without values, or whatever an object of the user's raises
            return value
    if type(value).__module__ == "torch" and type(value).__name__ in ("device", "dtype"):
        return str(value)
    return value


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
    except (TypeError, ValueError, OverflowError):
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
    """A value as a few letters of one line, whatever its repr does."""
    try:
        shown = repr(value)
    except Exception:
        shown = f"a {type(value).__name__}"
    return one_line(shown, 60)

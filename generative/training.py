"""The settings of a training: each declared once, where it is used, with type and bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.core.errors import SettingError, one_line


class Bounds(NamedTuple):
    """What the numbers of a setting lie between: from `ge`, or above `gt`, to `le`. A field of a
    part that is annotated with them is a setting of every training with that part.
    """

    ge: float | None = None
    le: float | None = None
    gt: float | None = None

    def __str__(self) -> str:
        low = f"above {self.gt:g}" if self.gt is not None else f"{self.ge:g} at least"
        return low if self.le is None else f"{low}, {self.le:g} at most"


STEPS = Bounds(ge=1, le=10_000_000)
RATE = Bounds(gt=0, le=1e6)
WEIGHT = Bounds(ge=0, le=1e6)
SHARE = Bounds(ge=0, le=1)
ANY = Bounds()


class Setting(NamedTuple):
    """One of a training's: its type, what it is where nothing is said, its bounds."""

    kind: Any
    default: Any
    bounds: Bounds

    def checked(self, name: str, value: Any) -> Any:
        """A value that may stand for it. Raises UsageError for any other."""
        kinds = self._kinds()
        if isinstance(value, int) and float in kinds and not isinstance(value, bool):
            value = float(value)
        if type(value) not in kinds or not self._inside(value):
            words = " or ".join(kind.__name__ for kind in kinds if kind is not NoneType)
            wanted = f"{words}, {self.bounds}" if self.bounds != ANY else words
            got = one_line(repr(value), 60)
            raise SettingError(f"setting '{name}': expected {wanted}, got {got}")
        return value

    def _kinds(self) -> tuple[type, ...]:
        united = get_origin(self.kind) in (Union, UnionType)
        return get_args(self.kind) if united else (self.kind,)

    def _inside(self, value: Any) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return True
        low, high, above = self.bounds
        return (
            math.isfinite(value)
            and (low is None or value >= low)
            and (high is None or value <= high)
            and (above is None or value > above)
        )


@cache
def declared(record: type) -> dict[str, Setting]:
    """The settings that a record declares, by name; None where it has no default."""
    hints = get_type_hints(record, include_extras=True)
    return {
        field.name: Setting(
            hints[field.name].__origin__,
            None if field.default is MISSING else field.default,
            bounds,
        )
        for field in fields(record)
        for bounds in getattr(hints[field.name], "__metadata__", ())
        if isinstance(bounds, Bounds)
    }


def settings_of(part: Any) -> dict[str, Setting]:
    """Those that a part declares, by name, with what they are in it; none of what is no record."""
    if isinstance(part, type) or not is_dataclass(part):
        return {}
    return {
        name: setting._replace(default=getattr(part, name))
        for name, setting in declared(type(part)).items()
    }


@dataclass(frozen=True, init=False)
class Training:
    """What a training is told: a protocol by name, and settings by name; of what it is not told
    the protocol and the parts say their own. An empty protocol is what is usual for the model.
    """

    protocol: str
    chosen: tuple[tuple[str, Any], ...]

    def __init__(self, protocol: str = "", **chosen: Any) -> None:
        told = sorted((name, value) for name, value in chosen.items() if value is not None)
        object.__setattr__(self, "protocol", protocol)
        object.__setattr__(self, "chosen", tuple(told))

    def __getattr__(self, name: str) -> Any:
        """A setting by its name; None where nothing is said of it."""
        if name.startswith("_") or name == "chosen":
            raise AttributeError(name)
        return self.settings.get(name)

    def __repr__(self) -> str:
        told = [repr(self.protocol), *(f"{name}={value!r}" for name, value in self.chosen)]
        return f"Training({', '.join(told)})"

    @property
    def settings(self) -> dict[str, Any]:
        """What it is told, by name."""
        return dict(self.chosen)

    def saying(self, **changed: Any) -> Training:
        """The same with other settings; None takes one back."""
        return Training(**{"protocol": self.protocol, **self.settings, **changed})


P = TypeVar("P")


def told(part: P, settings: Mapping[str, Any]) -> P:
    """A part whose own settings are those that are said, where anything is said of them. Raises
    UsageError for a value that may not stand for one.
    """
    record: Any = part
    said = {
        name: setting.checked(name, settings[name])
        for name, setting in settings_of(part).items()
        if name in settings
    }
    return replace(record, **said) if said else part

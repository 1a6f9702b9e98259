"""The settings that a training can be told: each declared once, with its type and its bounds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_type_hints

Precision = Literal["float32", "bfloat16"]


class Bounds(NamedTuple):
    """What the numbers of a setting lie between: from `ge`, or above `gt`, to `le`."""

    ge: float | None = None
    le: float | None = None
    gt: float | None = None


class Known(NamedTuple):
    """The bounds of a setting in the trainings that know it: those of models that draw samples, and
    those of models that map images of one domain to another's.
    """

    drawing: Bounds | None = None
    translating: Bounds | None = None


STEPS = Bounds(ge=1, le=10_000_000)
RATE = Bounds(gt=0, le=1e6)
WEIGHT = Bounds(ge=0, le=1e6)
EVERYWHERE = Known(Bounds(), Bounds())


@dataclass(frozen=True)
class Training:
    """The settings a training can be told; None means what the protocol says, an empty protocol
    what is usual for the model. channels_last, precision, compiled: how a step is computed.
    """

    protocol: Annotated[str, EVERYWHERE] = ""
    steps: Annotated[int | None, Known(STEPS, STEPS)] = None
    batch: Annotated[int | None, Known(Bounds(2, 1_000_000), Bounds(1, 100_000))] = None
    critic_steps: Annotated[int | None, Known(drawing=Bounds(1, 1_000))] = None
    generator_lr: Annotated[float | None, Known(RATE, RATE)] = None
    critic_lr: Annotated[float | None, Known(RATE, RATE)] = None
    penalty_weight: Annotated[float | None, Known(drawing=WEIGHT)] = None
    latent: Annotated[int | None, Known(drawing=Bounds(1, 10_000))] = None
    l1_weight: Annotated[float | None, Known(translating=WEIGHT)] = None
    cycle_weight: Annotated[float | None, Known(translating=WEIGHT)] = None
    identity_weight: Annotated[float | None, Known(translating=WEIGHT)] = None
    channels_last: Annotated[bool | None, EVERYWHERE] = None
    precision: Annotated[Precision | None, EVERYWHERE] = None
    compiled: Annotated[bool | None, EVERYWHERE] = None


class Setting(NamedTuple):
    """One of a training's: its type, what it is where nothing is said, its bounds."""

    kind: Any
    default: Any
    bounds: Bounds


def settings_of(family: Literal["drawing", "translating"]) -> dict[str, Setting]:
    """Those that the trainings of a family know, by name."""
    hints = get_type_hints(Training, include_extras=True)
    declared = {f.name: (*hints[f.name].__metadata__, f.default) for f in fields(Training)}
    return {
        name: Setting(hints[name].__origin__, default, bounds)
        for name, (known, default) in declared.items()
        if (bounds := getattr(known, family)) is not None
    }


P = TypeVar("P")


def told(protocol: P, training: Training) -> P:
    """A protocol whose fields are what a training says, where it says anything by their names."""
    record: Any = protocol
    said = {f.name: getattr(training, f.name, None) for f in fields(record)}
    return replace(record, **{name: value for name, value in said.items() if value is not None})

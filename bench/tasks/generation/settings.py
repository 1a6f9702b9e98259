"""What the tasks that train a generative model share: settings, a cell's resolution, its order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from bench.core.errors import UsageError, one_line
from bench.core.registry import Entry
from bench.models.generators import Order
from bench.suites.cell import Cell
from bench.tasks.base import Resolved
from bench.tasks.values import checked, scored_by
from generative import (
    CONSTRAINTS,
    LOSSES,
    PENALTIES,
    PROTOCOLS,
    RECIPES,
    TRANSLATION_PROTOCOLS,
    Protocol,
    Recipe,
    RecipeFacts,
    Training,
)


class Settings(BaseModel):
    """The settings of a cell; None means what the protocol, the recipe or the data say.

    protocol: networks and optimisers. samples: how many are scored. evaluations: how many times
    a training is looked at on the way. channels_last, precision, compiled: how a step is computed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    protocol: str
    steps: int | None = Field(default=None, ge=1, le=10_000_000)
    batch: int | None = Field(default=None, ge=2, le=1_000_000)
    critic_steps: int | None = Field(default=None, ge=1, le=1_000)
    generator_lr: float | None = Field(default=None, gt=0, le=1e6)
    critic_lr: float | None = Field(default=None, gt=0, le=1e6)
    penalty_weight: float | None = Field(default=None, ge=0, le=1e6)
    latent: int | None = Field(default=None, ge=1, le=10_000)
    channels_last: bool | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    compiled: bool | None = None
    samples: int = Field(default=10_000, ge=100, le=10_000_000)
    evaluations: int = Field(default=20, ge=1, le=1_000)

    def training(self) -> Training:
        return Training(
            self.protocol,
            self.steps,
            self.batch,
            self.critic_steps,
            self.generator_lr,
            self.critic_lr,
            self.penalty_weight,
            self.latent,
            self.channels_last,
            self.precision,
            self.compiled,
        )


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Target:
    """What a cell is about, as its task knows it.

    defaults: settings where the suite says nothing. modules: whose source makes the data and the
    scores. takes: which metrics score it. extra: settings that are the task's own, part of what
    identifies the measurement. seconds: what scoring takes for each sample. labelled: whether the
    classes of the training examples are known. named: those of `extra` that name a cell where they
    differ from the defaults. kind: the settings it has.
    """

    shape: tuple[int, ...]
    fingerprint: str
    defaults: Mapping[str, Any]
    modules: tuple[str, ...]
    data_modules: tuple[str, ...]
    takes: tuple[str, ...]
    extra: Mapping[str, Any]
    seconds: float
    skip: str = ""
    named: Mapping[str, Any] = field(default_factory=dict)
    labelled: bool = False
    kind: type[Settings] = Settings


def unfit(target: Target, recipe: Entry[Recipe, RecipeFacts]) -> str:
    """Why a model can't be trained on such data, or empty."""
    facts, name = recipe.facts, recipe.name
    if facts.translates:
        return f"model '{name}' translates images of one domain to another's: task translation"
    if len(target.shape) > 1 and facts.points_only:
        return f"model '{name}' is for points: {facts.points_only}"
    if len(target.shape) == 1 and facts.images_only:
        return f"model '{name}' is for images: {facts.images_only}"
    if facts.labelled and not target.labelled:
        return f"model '{name}' needs the classes of its training examples, and these have none"
    return ""


def models_for(examples: Literal["points", "images"]) -> list[str]:
    """Every registered model that can be trained on them, classes unknown or not."""
    other = {"points": "images_only", "images": "points_only"}[examples]
    return [
        entry.name
        for entry in RECIPES.entries()
        if not entry.facts.translates and not getattr(entry.facts, other)
    ]


def resolve(target: Target, model: str, settings: Mapping[str, Any]) -> Resolved:
    """A point of a grid. Raises UsageError for settings or parts that are not known."""
    asked = read_settings(settings, target.defaults, target.kind)
    recipe, training = recipe_of(model), asked.training()
    if reason := unfit(target, recipe):
        return Resolved({}, {}, target.fingerprint, target.modules, skip=reason)
    try:
        relevant = recipe.part.relevant(training)
        several_steps = recipe.part.trainer(training, target.shape).steps > 1
    except UsageError:
        raise
    except Exception as error:
        text = one_line(repr(error), 150)
        raise UsageError(f"model '{model}' can't be set up: {text}") from error
    resolved = {**relevant, "samples": asked.samples}
    if several_steps:
        resolved["evaluations"] = asked.evaluations
    return Resolved(
        settings={**resolved, **target.extra},
        differing=_differing(
            read_settings({}, target.defaults, target.kind),
            asked,
            {**resolved, **target.named},
            recipe.part,
        ),
        fingerprint=target.fingerprint,
        modules=(
            *target.modules,
            recipe.origin,
            *recipe.part.modules(training),
            *target.data_modules,
            *(entry.origin for entry in scored_by(target.takes)),
        ),
        seconds=recipe.part.seconds(training) + asked.samples * target.seconds,
        skip=target.skip,
    )


def read_settings(
    settings: Mapping[str, Any], defaults: Mapping[str, Any], kind: type[S] = Settings
) -> S:
    """Settings with a task's defaults. Raises UsageError for an unknown one or a wrong value."""
    asked = checked(kind, {**defaults, **settings})
    if not isinstance(PROTOCOLS[asked.protocol].part, Protocol):
        raise UsageError(f"protocol '{asked.protocol}' is none: expected a generative.Protocol")
    return asked


def _differing(
    usual: Settings, asked: Settings, resolved: dict[str, Any], recipe: Recipe
) -> dict[str, Any]:
    """The settings that name a cell: those that matter and are not the default's."""
    defaults = {
        **usual.model_dump(),
        **recipe.relevant(Training(asked.protocol)),
        "protocol": usual.protocol,
    }
    return {key: value for key, value in resolved.items() if defaults.get(key) != value}


def asked_of(cell: Cell, defaults: Mapping[str, Any], kind: type[S] = Settings) -> S:
    """The settings of a cell that are the task's; a recipe may have resolved others of its own."""
    known = kind.model_fields
    chosen = {name: value for name, value in cell.settings.items() if name in known}
    return kind(**{**defaults, **chosen})


def order_of(
    cell: Cell,
    defaults: Mapping[str, Any],
    data_modules: tuple[str, ...],
    fixed_noise: bool = False,
) -> Order:
    """What a cell needs trained."""
    asked = asked_of(cell, defaults)
    return Order(
        cell.part("model"),
        asked.training(),
        cell.fingerprint,
        cell.seed,
        asked.evaluations,
        data_modules,
        fixed_noise,
    )


def recipe_of(name: str) -> Entry[Recipe, RecipeFacts]:
    """A registered recipe or one of the user's. Raises UsageError where it is none."""
    entry = RECIPES[name]
    if not isinstance(entry.part, Recipe):
        kind = type(entry.part).__name__
        raise UsageError(f"model '{name}' is a {kind}: expected an instance of generative.Recipe")
    return entry


def papers_of(parts: Iterable[str]) -> list[str]:
    """What to cite for a recipe's losses, penalties and constraints."""
    registries = (LOSSES, PENALTIES, CONSTRAINTS)
    return [kind[part].paper for part in parts for kind in registries if part in kind]


def describe_model(cell: Cell) -> dict[str, Any]:
    """The role of a model's row, and what to cite for it."""
    recipe = recipe_of(cell.part("model"))
    papers = [recipe.paper, *papers_of(recipe.facts.parts)]
    for protocols in (PROTOCOLS, TRANSLATION_PROTOCOLS):
        if (name := cell.settings.get("protocol", "")) in protocols:
            papers.append(protocols[name].paper)
    return {"role": recipe.facts.role, "summary": recipe.summary, "papers": papers}

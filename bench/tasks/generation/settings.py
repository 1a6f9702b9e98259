"""What a cell whose task trains a generative model is told, and a point of a grid resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from bench.core.errors import UsageError, one_line, unknown
from bench.core.registry import Entry
from bench.tasks.base import Resolved
from bench.tasks.values import checked, scored_by
from generative import (
    PARTS,
    PROTOCOLS,
    RECIPES,
    Protocol,
    Recipe,
    RecipeFacts,
    Training,
)
from generative.protocols.base import LAYERS, RATES
from generative.protocols.translation import TranslationProtocol
from generative.recipes import ready
from generative.recipes.playing import Parted
from generative.trainers.execution import EXECUTION
from generative.training import ANY, Setting, declared

Family = Literal["drawing", "translating"]
"""Models that draw samples, and models that map images of one domain to another's."""

Evaluations = Annotated[int, Field(ge=1, le=1_000)]
Frames = Annotated[int, Field(ge=0, le=1_000)]
Samples = Annotated[int, Field(ge=100, le=10_000_000)]


class TrainedSettings(BaseModel):
    """The settings of a cell: its training's, those of the parts that a model is made of, and those
    that its task adds. evaluations: how many times a training is looked at on the way. film: how
    many frames of it are kept, of one noise.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    family: ClassVar[Family] = "drawing"
    shared: ClassVar[tuple[str, ...]] = ()
    evaluations: Evaluations = 5
    film: Frames = 0

    @model_validator(mode="after")
    def _check_parts(self) -> TrainedSettings:
        """Settings of parts are known by their parts. Raises UsageError for one that is of none."""
        said: dict[str, Any] = self.__pydantic_extra__ or {}
        known = settings_of_parts(self.family) if said else {}
        for name, value in said.items():
            if name not in known:
                raise unknown("setting", name, [*type(self).model_fields, *known])
            said[name] = known[name].checked(name, value)
        return self

    def training(self) -> Training:
        known = {*SETTINGS_OF[self.family], *(self.model_extra or {}), *self.shared}
        return Training(**{name: value for name, value in self if name in known})


def settings_of_parts(family: Family) -> dict[str, Setting]:
    """Those of the parts of every model of a family, registered or asked for, by name."""
    recipes = [
        entry.part
        for entry in (*RECIPES.entries(), *RECIPES.brought())
        if isinstance(entry.part, Parted) and entry.facts.translates == (family == "translating")
    ]
    return {name: setting for recipe in recipes for name, setting in recipe.own().items()}


def _usual(protocol: type) -> dict[str, Setting]:
    """Of every training under a kind of protocol; None is what the protocol says."""
    own = {name: Setting(s.kind | None, None, s.bounds) for name, s in declared(protocol).items()}
    rates = {name: Setting(s.kind | None, None, s.bounds) for name, s in RATES.items()}
    return {"protocol": Setting(str, "", ANY), **own, **rates, **EXECUTION}


NAMED = {name: Setting(s.kind | None, None, s.bounds) for name, s in LAYERS.items()}

SETTINGS_OF: dict[Family, dict[str, Setting]] = {
    "drawing": {**_usual(Protocol), **NAMED, **ready.SETTINGS},
    "translating": _usual(TranslationProtocol),
}


def derive_settings(family: Family) -> type[TrainedSettings]:
    """With every setting that the trainings of a family know."""
    known: Any = {
        name: (setting.kind, Field(default=setting.default, **setting.bounds._asdict()))
        for name, setting in SETTINGS_OF[family].items()
    }
    return create_model("TrainedSettings", __base__=TrainedSettings, **known)


class DrawingSettings(derive_settings("drawing")):
    """Of a model that draws samples. samples: how many are scored."""

    protocol: str
    samples: Samples = 10_000


D = TypeVar("D", bound=DrawingSettings)


@dataclass(frozen=True)
class Target:
    """What a cell is about, as its task knows it.

    shape: of an example, None where the data are missing and it can't be told. modules: whose
    source makes the scores; data_modules: the data. takes: which metrics score it. own: the task's
    settings, which name a cell where they are not the usual ones. rests: what the scores rest on,
    part of what identifies the measurement. seconds: what scoring takes. skip: why it can't be
    measured here, or empty. labelled: whether the classes of the training examples are known.
    moded: whether the modes are, or the classes that they are made of. captioned: whether the
    examples have captions, which the model is told. restores: the task, where it is one in which
    damaged images are repaired. few: whether the model is to say classes, of which it is told few.
    """

    shape: tuple[int, ...] | None
    fingerprint: str
    modules: tuple[str, ...]
    data_modules: tuple[str, ...]
    takes: tuple[str, ...]
    seconds: float
    own: Mapping[str, Any] = field(default_factory=dict)
    rests: Mapping[str, str] = field(default_factory=dict)
    skip: str = ""
    labelled: bool = False
    moded: bool = True
    captioned: bool = False
    restores: str = ""
    few: bool = False


def models_for(examples: Literal["points", "images"]) -> list[str]:
    """Every registered model that can be trained on them, classes unknown or not."""
    other = {"points": "images_only", "images": "points_only"}[examples]
    return [
        entry.name
        for entry in RECIPES.entries()
        if entry.facts.draws
        and not (
            entry.facts.translates
            or entry.facts.captioned
            or entry.facts.restores
            or getattr(entry.facts, other)
        )
    ]


def read_settings(
    kind: type[D], settings: Mapping[str, Any], usual: Mapping[str, Any] | None = None
) -> D:
    """Settings over those that are usual for the data. Raises UsageError for an unknown one or a
    wrong value.
    """
    asked = checked(kind, {**(usual or {}), **settings})
    if not isinstance(PROTOCOLS[asked.protocol].part, Protocol):
        raise UsageError(f"protocol '{asked.protocol}' is none: expected a generative.Protocol")
    return asked


def resolve_drawing(target: Target, model: str, asked: D, usual: D) -> Resolved:
    """A point of a grid of models that draw samples; the settings that name a cell are those that
    its protocol has not.
    """
    recipe = recipe_of(model)
    if reason := _unfit(target, recipe):
        return unmeasured(target, reason)
    usually = {**recipe.part.relevant(Training(asked.protocol)), "protocol": usual.protocol}
    drawn = {"samples": asked.samples} if recipe.facts.draws else {}
    own = {**drawn, **target.own}
    found = resolve(replace(target, own=own), recipe, asked, {**dict(usual), **usually})
    if not isinstance(recipe.part, ready.Ready) or target.skip or target.shape is None:
        return found
    try:
        recipe.part.refuse(asked.training(), target.shape, asked.samples)
    except ready.Unfit as error:
        return unmeasured(target, str(error))
    held = recipe.part.contents(recipe.origin)
    shared = (held.shared,) if held.shared else ()
    return replace(found, brought=shared, by_seed=held.by_seed, once=held.once)


def _unfit(target: Target, recipe: Entry[Recipe, RecipeFacts]) -> str:
    """Why a model can't be trained on such data, or empty."""
    facts, name, points = recipe.facts, recipe.name, len(target.shape or ()) == 1
    if facts.translates:
        return f"model '{name}' translates images of one domain to another's: task translation"
    if target.few and not facts.classifies:
        return f"model '{name}' says no class: choose one that classifies, such as improved-gan"
    if not target.few and facts.restores not in ("", target.restores):
        return f"model '{name}' repairs images and draws none of its own: task {facts.restores}"
    if not (target.few or facts.draws or facts.restores):
        return f"model '{name}' draws nothing by itself: task few-labels"
    if facts.captioned and not target.captioned:
        return f"model '{name}' is told captions, and these data have none: task text-to-image"
    if target.captioned and not facts.captioned:
        return f"model '{name}' is told no captions: task image is for it"
    if not points and facts.points_only:
        return f"model '{name}' is for points: {facts.points_only}"
    if points and facts.images_only:
        return f"model '{name}' is for images: {facts.images_only}"
    if facts.labelled and not target.labelled:
        return f"model '{name}' needs the classes of its training examples, and these have none"
    if facts.moded and not target.moded:
        return f"model '{name}' needs to know the modes of the data, and nobody knows these"
    return ""


def unmeasured(target: Target, reason: str) -> Resolved:
    """A point of a grid that makes no sense."""
    return Resolved({}, {}, target.fingerprint, target.modules, skip=reason, unfit=True)


def resolve(
    target: Target,
    recipe: Entry[Recipe, RecipeFacts],
    asked: TrainedSettings,
    usual: Mapping[str, Any],
) -> Resolved:
    """A point of a grid. usual: values that don't name a cell. Raises UsageError for a model that
    can't be set up so.
    """
    training = suited(recipe.part, asked.training(), target.shape)
    relevant, several_steps = _set_up(recipe, training, target.shape)
    looks = {"evaluations": asked.evaluations} if several_steps else {}
    filmed = several_steps and _can_be_seen(target.shape, recipe) and asked.film
    film = {"film": asked.film} if filmed else {}
    chosen = {**relevant, **target.own, **looks, **film}
    return Resolved(
        settings={**chosen, **target.rests},
        differing={name: value for name, value in chosen.items() if usual.get(name) != value},
        fingerprint=target.fingerprint,
        modules=(
            *target.modules,
            recipe.origin,
            *recipe.part.modules(training),
            *target.data_modules,
            *(entry.origin for entry in scored_by(target.takes)),
        ),
        seconds=recipe.part.seconds(training) + target.seconds,
        skip=target.skip,
        note=_packs(chosen),
    )


def _can_be_seen(shape: tuple[int, ...] | None, recipe: Entry[Recipe, RecipeFacts]) -> bool:
    """Whether a film shows what it draws: images, or points in the plane."""
    seen = shape is None or len(shape) > 1 or shape == (2,)
    return seen and not recipe.facts.translates


def _packs(chosen: Mapping[str, Any]) -> str:
    """What a batch of packs is, which examples of other rows are to be compared with."""
    group, batch = chosen.get("group", 1), chosen.get("batch", 0)
    return f"a batch of {batch} packs holds {group * batch} examples" if group > 1 else ""


def suited(recipe: Recipe, training: Training, shape: tuple[int, ...] | None) -> Training:
    """A training with what is usual for examples of a shape; as it is where that can't be told."""
    if shape is None or not isinstance(recipe, Parted):
        return training
    return recipe.suited(training, shape)


def _set_up(
    recipe: Entry[Recipe, RecipeFacts], training: Training, shape: tuple[int, ...] | None
) -> tuple[dict[str, Any], bool]:
    """The settings that a model reads, and whether it is trained in several steps."""
    try:
        relevant = recipe.part.relevant(training)
        return relevant, shape is not None and recipe.part.trainer(training, shape).steps > 1
    except UsageError:
        raise
    except Exception as error:
        text = one_line(repr(error), 150)
        raise UsageError(f"model '{recipe.name}' can't be set up: {text}") from error


def recipe_of(name: str) -> Entry[Recipe, RecipeFacts]:
    """A registered recipe or one of the user's. Raises UsageError where it is none."""
    entry = RECIPES[name]
    if not isinstance(entry.part, Recipe):
        kind = type(entry.part).__name__
        raise UsageError(
            f"model '{name}' is a {kind}: expected an instance of generative.Recipe, or a function "
            "of n and a torch.Generator to n samples"
        )
    return entry


def papers_of(parts: Iterable[str]) -> list[str]:
    """What to cite for the parts that a recipe is made of."""
    return [kind[part].paper for part in parts for kind in PARTS if part in kind]

"""What an attack is asked: settings, radii, and the attack with its own settings put in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from attacks import ATTACKS, Attack, AttackFacts, FixedBudget, MinimalNorm
from attacks.certificates import Certificate
from attacks.contracts import Stop
from attacks.ensemble import Ensemble, together
from attacks.foolbox_adapter import PREFIX, FoolboxBudget, FoolboxMinimal, adapt
from bench.core.errors import SettingError, UsageError, one_line, unknown
from bench.core.registry import Entry
from bench.models.brought import SETTINGS
from bench.tasks.robustness.targets import TARGETS, known
from bench.tasks.values import checked

P = TypeVar("P", bound=Attack | Certificate)
WITHIN = "attack_success_within"
NORM = "linf"
RADII = {
    "linf": "0.05,0.1,0.15,0.2,0.25,0.3",
    "l2": "0.25,0.5,1,2",
    "l1": "3,6,12,24",
    "l0": "5,10,20,40",
}
"""The usual radii of a norm, for images in [0, 1]: around those of the literature on small ones."""


class ImageSettings(BaseModel):
    """norm: linf, or the first that the attack knows. radii: numbers with commas between; not for
    attacks that look for the smallest perturbation. clip: whether pixels keep to [0, 1]. images:
    how many held-out ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    norm: Literal["linf", "l2", "l1", "l0"] = NORM
    radii: str = RADII[NORM]
    clip: bool = True
    images: int = Field(default=1_000, ge=1, le=1_000_000)

    @property
    def box(self) -> tuple[float, float] | None:
        return (0.0, 1.0) if self.clip else None


class AttackSettings(ImageSettings):
    """targets: what images are to be taken for: "none" of the classes in particular, each a
    "random" wrong one, its "likeliest" or "least-likely" one, "all" in turn (the worst case of
    them), or the number of a class, whose own images are not counted. stop: "first_success" where
    nothing but robust accuracy is asked: an image is done when it is misled. within: the radii at
    which the images of a search for the smallest perturbation are counted.
    """

    targets: str = "none"
    stop: Stop = "never"
    within: str = ""

    @field_validator("targets", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        value = str(value) if type(value) is int else value
        if not isinstance(value, str) or not known(value):
            raise ValueError(f"expected one of {', '.join(TARGETS)}, or a class")
        return value


@dataclass(frozen=True)
class ChosenAttack:
    """A cell's settings, its attack with its own settings put in, and those of both that matter."""

    settings: AttackSettings
    attack: Attack
    relevant: dict[str, Any]

    @property
    def radii(self) -> list[float]:
        """In rising order; none for a search."""
        return parse_radii(self.settings.radii) if isinstance(self.attack, FixedBudget) else []

    @property
    def counted(self) -> list[float]:
        """The radii that a search's images are counted at, in rising order."""
        within = self.settings.within
        return parse_radii(within, "within") if within and not self.radii else []

    @property
    def grid(self) -> str:
        """The radii as a metric's name tells them."""
        return ",".join(f"{radius:g}" for radius in self.radii or self.counted)


def parse_radii(text: str, name: str = "radii") -> list[float]:
    """Radii in rising order, each once. Raises UsageError, with the parameter's name, for what is
    none, or negative.
    """
    try:
        radii = [_number(part) for part in text.split(",")]
    except ValueError:
        got = one_line(text, 60)
        raise SettingError(f"`{name}`: expected numbers such as 0,0.1,8/255, got '{got}'") from None
    for index, radius in enumerate(radii):
        if not np.isfinite(radius) or radius < 0:
            raise SettingError(
                f"`{name}`: expected finite numbers of 0 or more, number {index} is {radius}"
            )
    return sorted(set(radii))


def _number(text: str) -> float:
    """A number or a fraction such as 8/255. Raises ValueError where it is none."""
    above, slash, below = text.partition("/")
    if slash and float(below) == 0:
        raise ValueError(text)
    return float(above) / float(below) if slash else float(above)


def attack_of(name: str) -> Entry[Attack, AttackFacts]:
    """A registered attack, one of foolbox's, one of the user's, or several of them with + between.
    Raises UsageError otherwise.
    """
    if "+" in name:
        return together([attack_of(part) for part in name.split("+")])
    if name.startswith(PREFIX):
        return adapt(name)
    entry = ATTACKS[name]
    if not isinstance(entry.part, FixedBudget | MinimalNorm):
        kind = type(entry.part).__name__
        raise UsageError(
            f"attack '{name}' is a {kind}: expected an attacks.FixedBudget or attacks.MinimalNorm"
        )
    return entry


def origins_of(name: str) -> tuple[str, ...]:
    """The modules of an attack, or of several with + between."""
    return tuple(attack_of(part).origin for part in name.split("+"))


def choose_attack(
    attack: str, settings: Mapping[str, Any], kind: type[AttackSettings] = AttackSettings
) -> ChosenAttack:
    """An attack with settings, checked; those of other attacks are left out, so that a grid shares
    its settings. Raises UsageError for one that neither task nor attack knows.
    """
    entry = attack_of(attack)
    has = settings_of(entry.part)
    every = {name for other in ATTACKS.entries() for name in settings_of(other.part)} | {*has}
    own = {name: value for name, value in settings.items() if name in every}
    rest = {k: v for k, v in settings.items() if k not in own and k not in SETTINGS}
    norms = entry.part.norms
    rest.setdefault("norm", NORM if NORM in norms else norms[0])
    if rest["norm"] in RADII and rest["norm"] != NORM:
        rest.setdefault("radii", RADII[rest["norm"]])
    if isinstance(entry.part, Ensemble):
        rest.setdefault("stop", "first_success")
    asked = checked(kind, rest, has)
    part = with_settings(entry.part, {k: v for k, v in own.items() if k in has}, attack)
    if asked.norm not in part.norms:
        raise unknown("norm", asked.norm, part.norms, f"(attack {attack} knows these)")
    relevant = {**asked.model_dump(), **settings_of(part)}
    if isinstance(part, FixedBudget):
        parse_radii(asked.radii)
        del relevant["within"]
        if asked.targets != "none" and not entry.facts.aims:
            raise UsageError(f"attack {attack} can't aim at targets: leave `targets` out")
    else:
        del relevant["radii"], relevant["stop"]
        if asked.within:
            parse_radii(asked.within, "within")
    return ChosenAttack(asked, part, relevant)


def refuse_others(chosen: ChosenAttack, settings: Iterable[str], attack: str) -> None:
    """Raise UsageError for a setting that the attack has not, where no grid shares it."""
    known = settings_of(chosen.attack)
    for name in settings:
        if name in known or name in AttackSettings.model_fields:
            continue
        if not known:
            raise UsageError(f"attack {attack} has no settings of its own: leave '{name}' out")
        raise unknown("setting", name, known, f"(attack {attack} has these)")


def settings_of(attack: Attack | Certificate) -> dict[str, Any]:
    """What a suite may set of an attack or a certificate: plain values."""
    if isinstance(attack, FoolboxBudget | FoolboxMinimal):
        found = dict(attack.settings)
    else:
        own = fields(attack) if is_dataclass(attack) else ()
        found = {field.name: getattr(attack, field.name) for field in own}
    return {k: v for k, v in found.items() if v is None or isinstance(v, bool | int | float | str)}


def with_settings(attack: P, chosen: dict[str, Any], name: str) -> P:
    """An attack or a certificate with some settings changed. Raises UsageError for a value that is
    none.
    """
    usual: dict[str, Any] = settings_of(attack)
    hints = get_type_hints(type(attack))
    for key, value in chosen.items():
        kinds = (int, float) if isinstance(usual[key], float) else type(usual[key])
        if usual[key] is not None and not isinstance(value, kinds):
            kind = type(usual[key]).__name__
            raise SettingError(f"setting '{key}' of {name}: expected a {kind}, got {value!r}")
        words = get_args(hints.get(key)) if get_origin(hints.get(key)) is Literal else ()
        if words and value not in words:
            raise unknown(f"{key} of {name}", str(value), words)
        _refuse_number(f"setting '{key}' of {name}", value, usual[key])
    if isinstance(attack, FoolboxBudget | FoolboxMinimal):
        return cast(Any, adapt(name, **chosen).part)
    return cast(Any, replace(cast(Any, attack), **chosen) if chosen else attack)


LARGEST = 2.0**1023
"""What is more is infinite, or will be."""


def _refuse_number(what: str, value: Any, usual: Any) -> None:
    """Raise UsageError for a number that is not finite, or not above 0 where the usual one is, and
    for a word where a number may stand.
    """
    if usual is None and isinstance(value, str):
        raise SettingError(f"{what}: expected a number, got {value!r}")
    if isinstance(value, str | bool) or value is None:
        return
    above = isinstance(usual, int | float) and usual > 0
    if not -LARGEST < value < LARGEST or value < 0 or (above and value == 0):
        expected = "a number above 0" if above else "a number of 0 or more"
        raise SettingError(f"{what}: expected {expected}, got {value!r}")

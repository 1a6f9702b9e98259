"""What a gate judges by: its error rate, its margins, what it leaves out. Read from TOML."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bench.core.errors import UsageError, nearest, one_line

FORBID = ConfigDict(extra="forbid", frozen=True)


class Matching(BaseModel):
    """Patterns over the columns of a series; `*` matches any run of characters. A metric matches
    with or without its judge's hash.
    """

    model_config = FORBID

    suite: str = "*"
    task: str = "*"
    dataset: str = "*"
    model: str = "*"
    source_model: str = "*"
    attack: str = "*"
    metric: str = "*"

    def matches(self, series: Mapping[str, Any]) -> bool:
        return all(self._matches(axis, str(series[axis])) for axis in MATCHED)

    def _matches(self, axis: str, name: str) -> bool:
        glob = getattr(self, axis)
        return _is_metric(name, glob) if axis == "metric" else fnmatchcase(name, glob)


MATCHED = tuple(Matching.model_fields)


class Margin(Matching):
    """By how much a metric may get worse: the larger of both. What is not given stays."""

    absolute: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    relative: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class Ignored(Matching):
    """Series that are not judged, and why."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Policy(BaseModel):
    """alpha: how often a gate may raise a false alarm, all its tests together. suite_share: the
    part of it that goes to the test of a suite as a whole. primary: metrics that decide, as
    patterns; those that the suite names where it is empty. on_inconclusive: what an INCONCLUSIVE
    verdict does to the exit code. margin: the last that matches wins.
    """

    model_config = FORBID

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    suite_share: float = Field(default=0.2, ge=0, le=1)
    on_inconclusive: Literal["fail", "pass"] = "fail"
    primary: list[str] = []
    margin: list[Margin] = []
    ignore: list[Ignored] = []

    def with_inconclusive(self, choice: str) -> Policy:
        """The same policy with another `on_inconclusive`. Raises UsageError for what is none."""
        if choice not in ("fail", "pass"):
            raise UsageError(f"on_inconclusive: expected fail or pass, got '{choice}'")
        return Policy.model_validate({**self.model_dump(), "on_inconclusive": choice})

    def is_primary(self, metric: str, named: bool) -> bool:
        """Whether a metric decides; `named`: by the suite."""
        if not self.primary:
            return named
        return any(_is_metric(metric, glob) for glob in self.primary)

    def margins(self, series: Mapping[str, Any]) -> tuple[float, float]:
        """The absolute and the relative margin of a series."""
        absolute, relative = series["absolute"], series["relative"]
        for rule in self.margin:
            if rule.matches(series):
                absolute = absolute if rule.absolute is None else rule.absolute
                relative = relative if rule.relative is None else rule.relative
        return absolute, relative

    def margin_at(self, series: Mapping[str, Any], usual: float) -> float:
        """By how much a series may get worse whose usual value is this one."""
        absolute, relative = self.margins(series)
        return max(absolute, relative * abs(usual) if math.isfinite(usual) else 0.0)

    def ignored(self, series: Mapping[str, Any]) -> str:
        """Why a series is not judged, or empty."""
        return next((rule.reason for rule in self.ignore if rule.matches(series)), "")


def _is_metric(metric: str, glob: str) -> bool:
    """Whether a metric matches a pattern, with or without its judge's hash, or its judge."""
    names = (metric, metric.partition(":")[0], metric.partition("@")[0])
    return any(fnmatchcase(name, glob) for name in names)


def read_policy(path: str | None) -> Policy:
    """A policy file, or the usual policy. Raises UsageError that names the place."""
    if path is None:
        return Policy()
    try:
        table = tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8"))
        return Policy.model_validate(table)
    except OSError as error:
        raise UsageError(f"can't read the policy {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(one_line(f"{path} is not valid TOML: {error}")) from error
    except ValidationError as error:
        raise UsageError(one_line(f"{path}: {_explain(error)}")) from error


def _explain(error: ValidationError) -> str:
    every = error.errors(include_url=False)
    first = next((one for one in every if one["type"] == "extra_forbidden"), every[0])
    place = ".".join(str(step) for step in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{place}: {first['msg'].lower()}, got {first.get('input')!r}"
    models: dict[str, type[BaseModel]] = {"margin": Margin, "ignore": Ignored}
    fields = list(models.get(str(first["loc"][0]), Policy).model_fields)
    guess = nearest(str(first["loc"][-1]), fields)
    return f"unknown key '{place}': " + (
        f"did you mean '{guess}'?" if guess else f"known: {', '.join(sorted(fields))}"
    )


def unmatched(policy: Policy, series: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rules that match no series: probably misspelt."""
    every = list(series)
    rules = [("margin", rule) for rule in policy.margin] + [("ignore", r) for r in policy.ignore]
    names = {str(one["metric"]) for one in every}
    unknown = [
        f"primary: '{glob}' matches no metric"
        for glob in policy.primary
        if not any(_is_metric(name, glob) for name in names)
    ]
    return unknown + [
        f"[[{kind}]] {_patterns(rule)} matches no series"
        for kind, rule in rules
        if not any(rule.matches(one) for one in every)
    ]


def _patterns(rule: Matching) -> str:
    given = {axis: getattr(rule, axis) for axis in MATCHED if getattr(rule, axis) != "*"}
    return ", ".join(f'{axis} = "{glob}"' for axis, glob in given.items()) or "without a pattern"

"""What every task does with settings and metrics: check, look up, make rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bench.core.errors import SettingError, UsageError, one_line, uncapital, unknown
from bench.core.registry import Entry
from bench.tasks.base import TASKS, Value
from metrics import METRICS, Score
from metrics.contracts import MetricFacts

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], settings: Mapping[str, Any], more: Iterable[str] = ()) -> M:
    """Settings as a task has them. Raises UsageError for an unknown one (`more`: those that are
    known elsewhere) or a wrong value.
    """
    try:
        return model(**{name: _listed(name, value) for name, value in settings.items()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise unknown("setting", name, [*model.model_fields, *more]) from None
        got = one_line(repr(first["input"]), 60)
        said = uncapital(first["msg"].removeprefix("Value error, "))
        raise SettingError(f"setting '{name}': {said}, got {got}") from None


LISTS = ("radii", "within")
"""Settings that are numbers with commas between."""


def _listed(name: str, value: Any) -> Any:
    """One number is a list of one."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(value) if name in LISTS and number else value


def value_of(
    name: str,
    score: Score | float,
    step: int | None = None,
    final: bool = True,
    suffix: str = "",
) -> Value:
    """A metric's score as a row's value."""
    facts: MetricFacts = METRICS[name].facts
    value, std_error, n = score if isinstance(score, Score) else (float(score), None, None)
    return Value(
        name + suffix,
        value,
        std_error,
        n,
        step,
        final,
        direction=facts.direction,
        version=facts.version,
    )


def facts_of(name: str, takes: Iterable[str]) -> dict[str, Any]:
    """A metric's facts, by its registered name. Raises UsageError where it takes something else."""
    entry = METRICS[name]
    if entry.facts.takes not in takes:
        known = [e.name for e in scored_by(takes)]
        raise UsageError(f"metric '{name}' is not for this task; known: {', '.join(known)}")
    return {**vars(entry.facts), "paper": entry.paper}


def facts_on_rows(task: str, metric: str) -> dict[str, Any]:
    """What a task says of a metric by the name on its rows; nothing where it knows none."""
    name, _, rest = metric.partition("@")
    try:
        return TASKS[task].part.metric_facts(f"{name}@{rest.partition(':')[0]}" if rest else name)
    except UsageError:
        return {}


def scored_by(takes: Iterable[str]) -> list[Entry]:
    """Every registered metric that takes one of these."""
    return [entry for entry in METRICS.entries() if entry.facts.takes in takes]

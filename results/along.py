"""A sweep as a table: a column for each value of a setting, or rows and columns for two of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pandas as pd

from bench.core.errors import UsageError, unknown
from results.frames import column, pick
from results.legend import MARKED, spread
from results.summary import bounds, strength_head, swept_text
from results.tables import Layout, Look, head, look_of, radius_text, seeds_text, value_text

MOST = 2
"""How many settings a table of rows and columns can have."""
Row = Mapping[str, Any]
Value = Any
"""Of a setting: a number, a text, true or false."""


@dataclass(frozen=True)
class Line:
    """The rows of a summary that differ in nothing but the values of some settings: by those that
    they read, None for one that they don't.
    """

    name: str
    role: str
    epsilon: float | None
    rows: dict[tuple[Value, ...], Row] = field(default_factory=dict)

    def at(self, *values: Value) -> Row | None:
        """The row at some values; where it does not read a setting, that of any value."""
        for known, row in self.rows.items():
            if all(k is None or k == v for k, v in zip(known, values, strict=True)):
                return row
        return None

    def unread(self, names: Sequence[str]) -> list[str]:
        """The settings that none of its rows reads."""
        return [n for n, values in zip(names, zip(*self.rows, strict=True), strict=True)
                if not any(v is not None for v in values)]  # fmt: skip


@dataclass(frozen=True)
class Crossed:
    """One metric of one block and data set along settings. values: of each, in order."""

    block: str
    dataset: str
    metric: str
    names: tuple[str, ...]
    values: tuple[list[Value], ...]
    lines: list[Line]
    part: pd.DataFrame


def crossed(
    summary: pd.DataFrame,
    manifest: Mapping[str, Any],
    names: Sequence[str],
    metrics: Sequence[str] = (),
) -> Iterator[Crossed]:
    """Every block and data set with a row that reads one of the settings, metric by metric: those
    that are asked for, else the primary ones of its block, else all. Raises UsageError for a
    setting that no row has, a metric that none has, and more than two settings.
    """
    names = [*dict.fromkeys(names)]
    every = pick(summary, column(summary, "source") == "measured")
    if len(names) > MOST:
        raise UsageError(f"`along`: expected one setting or two, got {len(names)}")
    known = {name for text in set(every["settings"]) for name in json.loads(text)}
    for name in names:
        if name not in known:
            raise unknown("setting", name, known, "(`along` takes those of the rows)")
    asked = named_metrics(every, metrics)
    primary = {block["name"]: block["primary"] for block in manifest["blocks"]}
    for key, part in every.groupby(["block", "dataset"], sort=False):
        block, dataset = cast(tuple[str, str], key)
        there = [*dict.fromkeys(part["metric"])]
        usual = [metric for metric in primary.get(block, []) if metric in there] or there
        for metric in asked or usual:
            rows = pick(part, column(part, "metric") == metric)
            lines = _lines(rows, names)
            values = tuple(_values(lines, place) for place in range(len(names)))
            if len(rows) and any(values):
                yield Crossed(block, dataset, metric, tuple(names), values, lines, rows)


def named_metrics(summary: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Metrics of a summary by their names on rows: see `full_names`."""
    return full_names(summary["metric"], metrics)


def full_names(measured: Iterable[str], metrics: Sequence[str]) -> list[str]:
    """Metrics by their names on rows, from those or from names without a judge's hash, or without
    what stands after @. Raises UsageError for one that no row has.
    """
    known, found = [*dict.fromkeys(measured)], []
    for metric in metrics:
        same = [name for name in known if metric in (name, name.partition(":")[0])]
        same = same or [name for name in known if name.partition("@")[0] == metric]
        if not same:
            raise unknown("metric", metric, known, "(`metric` takes those of the tables)")
        found += same
    return [*dict.fromkeys(found)]


def _lines(rows: pd.DataFrame, names: Sequence[str]) -> list[Line]:
    """Rows that are told apart by more than the settings are lines of their own."""
    found: dict[tuple[Any, ...], Line] = {}
    labels: dict[str, set[str]] = {}
    for row in rows.to_dict("records"):
        settings, swept = json.loads(row["settings"]), json.loads(row["swept"])
        rest = _rest(row["cell_id"], settings, names)
        base = str(row["model"]).removesuffix(swept_text(swept))
        if not row["cell_id"].startswith(begin := f"{row['run']}: "):
            base = base.removeprefix(begin)
        label = base + swept_text(swept, names)
        labels.setdefault(label, set()).add(rest)
        epsilon = None if pd.isna(row["epsilon"]) else float(row["epsilon"])
        line = found.setdefault((label, rest, epsilon), Line(label, row["role"], epsilon))
        line.rows[tuple(settings.get(name) for name in names)] = row
    return [
        Line(f"{label} ({rest.partition('?')[2] or 'as usual'})", line.role, epsilon, line.rows)
        if len(labels[label]) > 1
        else line
        for (label, rest, epsilon), line in found.items()
    ]


def _rest(cell_id: str, settings: Mapping[str, Any], names: Sequence[str]) -> str:
    """A cell's name without what it says of some settings."""
    named, mark, said = cell_id.partition("?")
    for name in names:
        piece = re.escape(f"{name}={settings.get(name)}")
        said = re.sub(rf"(^|,){piece}(?=,|$)", "", said).strip(",")
    return named + (mark + said if said else "")


def _values(lines: Sequence[Line], place: int) -> list[Value]:
    """Of one of the settings: numbers in rising order, others as they come."""
    found = [*dict.fromkeys(known[place] for line in lines for known in line.rows)]
    found = [value for value in found if value is not None]
    return sorted(found) if all(is_number(value) for value in found) else found


def is_number(value: Value) -> bool:
    """Whether a value of a setting is one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_name(value: Value) -> str:
    """A value as heads, axes and notes have it."""
    return f"{value:g}" if is_number(value) and float(f"{value:g}") == value else str(value)


def along_layouts(
    summary: pd.DataFrame,
    manifest: dict[str, Any],
    names: Sequence[str],
    metrics: Sequence[str] = (),
) -> Iterator[Layout]:
    """A table for every metric with a row for each line and a column for each value; along two
    settings a table for each line, the first down and the second across.
    """
    for one in crossed(summary, manifest, names, metrics):
        if len(one.names) == 1:
            yield _along(one, manifest)
            continue
        for line in one.lines:
            if len(line.unread(one.names)) < MOST:
                yield _across(one, line, manifest)
        if still := [line for line in one.lines if len(line.unread(one.names)) == MOST]:
            yield _still(one, still, manifest)


def _facts(one: Crossed, manifest: Mapping[str, Any]) -> dict[str, Any]:
    return manifest["metrics"].get(one.metric, {})


def _title(one: Crossed, manifest: Mapping[str, Any], *more: str) -> str:
    place = (one.block, one.dataset) if one.dataset else (one.block,)
    along = " and ".join(one.names)
    return " · ".join([*place, *more, f"{head(one.metric, _facts(one, manifest))} along {along}"])


def _begin(lines: Sequence[Line], line: Line) -> list[tuple[str, str]]:
    """A line's name, and its radius where lines have one."""
    curve = any(each.epsilon is not None for each in lines)
    radius = "" if line.epsilon is None else radius_text(line.epsilon)
    return [(line.name, ""), *([(radius, "")] if curve else [])]


def _cells(
    rows: Sequence[Row | None], one: Crossed, manifest: dict[str, Any]
) -> tuple[list[tuple[str, str]], list[Look]]:
    """Values with their intervals, and how they are marked."""
    facts, limits = _facts(one, manifest), bounds(manifest, one.metric, one.dataset)
    texts = [value_text(row, facts) for row in rows]
    return texts, [look_of(row, facts, limits) for row in rows]


def _along(one: Crossed, manifest: dict[str, Any]) -> Layout:
    """One setting: a line a row, a value a column; a line that does not read it is level."""
    rows, looks = [], []
    for line in one.lines:
        texts, found = _cells([line.at(value) for value in one.values[0]], one, manifest)
        begin = [*_begin(one.lines, line), (_seeds(line), "")]
        rows.append(begin + texts)
        looks.append([Look() for _ in begin] + found)
    radius = (
        [strength_head(manifest, one.block)]
        if any(line.epsilon is not None for line in one.lines)
        else []
    )
    heads = ["model", *radius, "seeds", *(value_name(value) for value in one.values[0])]
    roles = [line.role for line in one.lines]
    return _layout(one, manifest, heads, rows, roles, looks, one.lines)


def _across(one: Crossed, line: Line, manifest: dict[str, Any]) -> Layout:
    """Two settings: a value of the first a row, one of the second a column."""
    rows, looks = [], []
    down, across = one.values
    for value in down:
        texts, found = _cells([line.at(value, other) for other in across], one, manifest)
        rows.append([(value_name(value), ""), *texts])
        looks.append([Look(), *found])
    heads = [" \\ ".join(one.names), *map(value_name, across)]
    told = f" at {strength_head(manifest, one.block)} = ".join(
        text for text, _ in _begin([line], line)
    )
    return _layout(one, manifest, heads, rows, [line.role] * len(rows), looks, [line], told)


def _still(one: Crossed, lines: Sequence[Line], manifest: dict[str, Any]) -> Layout:
    """What reads neither of two settings."""
    rows, looks = [], []
    for line in lines:
        texts, found = _cells([next(iter(line.rows.values()))], one, manifest)
        begin = [*_begin(lines, line), (_seeds(line), "")]
        rows.append(begin + texts)
        looks.append([Look() for _ in begin] + found)
    radius = (
        [strength_head(manifest, one.block)]
        if any(line.epsilon is not None for line in lines)
        else []
    )
    heads = ["model", *radius, "seeds", "at every value"]
    return _layout(one, manifest, heads, rows, [line.role for line in lines], looks, lines)


def _layout(
    one: Crossed,
    manifest: dict[str, Any],
    heads: list[str],
    rows: list[list[tuple[str, str]]],
    roles: list[str],
    looks: list[list[Look]],
    lines: Sequence[Line],
    told: str = "",
) -> Layout:
    notes = [*_notes(one, lines, looks)]
    title = _title(one, manifest, *([told] if told else []))
    name = f"{manifest.get('suite', '')} {title}"
    return Layout(title, heads, rows, roles, notes, (0,), looks, spread(one.part), name)


def _notes(one: Crossed, lines: Sequence[Line], looks: list[list[Look]]) -> Iterator[str]:
    """What marks mean, and which lines are level, or have no number and why."""
    if any(look.mark for row in looks for look in row):
        among = "of its metric here, among all values of all models"
        yield MARKED.replace("of its column", among).format(rows="")
    for name in one.names:
        level = [line.name for line in lines if name in line.unread(one.names)]
        if level:
            said = ", ".join(dict.fromkeys(level))
            yield f"{name} is not read by {said}: measured once, the same at each of its values"
    for line in lines:
        for known, row in line.rows.items():
            if pd.isna(row["value"]) and row["note"]:
                at = ", ".join(
                    f"{name} {value_name(value)}"
                    for name, value in zip(one.names, known, strict=True)
                    if value is not None
                )
                yield f"{line.name}{f' at {at}' if at else ''}: {row['note']}"


def _seeds(line: Line) -> str:
    """How many seeds each value has, once where all have as many."""
    said = [*dict.fromkeys(seeds_text(row) for row in line.rows.values())]
    if len(said) > 1 and all(text.isdigit() for text in said):
        return f"{min(map(int, said))} to {max(map(int, said))}"
    return "; ".join(said)


def along_rows(
    summary: pd.DataFrame,
    manifest: Mapping[str, Any],
    names: Sequence[str],
    metrics: Sequence[str] = (),
) -> pd.DataFrame:
    """The rows of the summary that such tables hold, with a column for each setting; nothing in it
    where a row does not read it.
    """
    parts = [one.part for one in crossed(summary, manifest, names, metrics)]
    found = pd.concat(parts) if parts else summary.iloc[:0]
    read = [json.loads(text) for text in found["settings"]]
    columns = {name: pd.Series([s.get(name) for s in read], found.index) for name in names}
    return found.assign(**columns)

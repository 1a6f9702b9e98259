"""Summaries as text: for a terminal, Markdown, CSV and JSON; LaTeX is in latex.py."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from bench.core.errors import visible
from results.legend import legend, split_shared, spread
from results.summary import bounds, strength_head, swept_text

FEW = 4
TIED = "†"
UNITS = {"standard error": "SE", "standard deviation": "SD"}
EVEN = 1e-9
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet evaluates (OWASP, CSV injection)."""


Notes = dict[tuple[str, str], dict[str, None]]
"""By source, empty for our own, and text: the rows that a note is about, in order."""


class Look(NamedTuple):
    """How a cell is told from others. mark: "best", "tied" or empty. half: half of its interval,
    where that lies evenly around the value; unit: what stands behind it. value, low, high: its
    numbers, where it has any.
    """

    mark: str = ""
    half: str = ""
    unit: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Layout:
    """One table to print: heads, and rows of cells of one or two lines (value, interval). left: the
    columns of words; numbers stand to the right. looks: of each cell, or none of any. spread: what
    the intervals are over. name: what tells the table from others. ids: of each row's cells, empty
    for published rows. metrics: of each column, empty for those of words.
    """

    title: str
    heads: list[str]
    rows: list[list[tuple[str, str]]]
    roles: list[str]
    notes: list[str]
    left: tuple[int, ...] = (0,)
    looks: list[list[Look]] = field(default_factory=list)
    spread: str = ""
    name: str = ""
    ids: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Nothing in a table is obeyed by a terminal, whatever the names in it are."""
        rows = [[(visible(value), visible(spread)) for value, spread in row] for row in self.rows]
        texts = {"title": visible(self.title), "name": visible(self.name), "rows": rows}
        texts |= {"heads": [*map(visible, self.heads)], "notes": [*map(visible, self.notes)]}
        for field_name, value in texts.items():
            object.__setattr__(self, field_name, value)

    def look(self, row: int, column: int) -> Look:
        """How a cell is told from others."""
        return self.looks[row][column] if self.looks else Look()

    def text(self, row: int, column: int) -> tuple[str, str]:
        """A cell's value, with a dagger where it ties, and its interval."""
        value, spread = self.rows[row][column]
        return value + (TIED if self.look(row, column).mark == "tied" else ""), spread

    @property
    def remarks(self) -> list[str]:
        """The lines under the table, what the intervals are before the notes."""
        said = f"low–high: 95 % interval of the mean, {self.spread}"
        return [said, *self.notes] if self.spread else self.notes


def layouts(summary: pd.DataFrame, manifest: dict[str, Any]) -> Iterator[Layout]:
    """A layout for every block and data set, in the summary's order."""
    for key, part in summary.groupby(["block", "dataset"], sort=False):
        block, dataset = cast(tuple[str, str], key)
        described = manifest.get("parts", {}).get("dataset", {}).get(dataset, {})
        title = f"{block} · {dataset}" if dataset else str(block)
        if described.get("modes"):
            title += f" ({described['modes']} modes)"
        name = f"{manifest.get('suite', '')} {block} {dataset}"
        yield _layout(title, name, part, manifest, described)


def _layout(
    title: str,
    name: str,
    part: pd.DataFrame,
    manifest: dict[str, Any],
    described: Mapping[str, Any],
) -> Layout:
    """The table of one block and data set."""
    facts = {name: manifest["metrics"].get(name, {}) for name in dict.fromkeys(part["metric"])}
    constants = [name for name in facts if _is_constant(name, facts[name], part)]
    metrics = [name for name in facts if name not in constants]
    dataset = str(part["dataset"].iloc[0])
    limits = {name: bounds(manifest, name, dataset) for name in metrics}
    curve = bool(part["epsilon"].notna().any())
    rows, looks, roles, ids = [], [], [], []
    seen: Notes = {}
    for (source, model, epsilon), group in _grouped(part):
        first = group.iloc[0]
        roles.append(str(first["role"]))
        ids.append(str(first["cell_id"]))
        values = {row["metric"]: row for _, row in group.iterrows()}
        begin = [(_name(first, source, model, seen), "")]
        if curve:
            begin.append(("" if epsilon is None else radius_text(epsilon), ""))
        begin.append((seeds_text(first), ""))
        rows.append([*begin, *(value_text(values.get(name), facts[name]) for name in metrics)])
        found = [look_of(values.get(name), facts[name], limits[name]) for name in metrics]
        looks.append([Look() for _ in begin] + found)
    directed = {name for name in metrics if facts[name].get("direction") in ("higher", "lower")}
    notes = [*legend(part, directed), *split_shared(part, facts, described)]
    notes += [*_settings(part), *_constants(part, constants, facts)]
    notes += _numbered(seen)
    strength = [strength_head(manifest, str(part["block"].iloc[0]))] if curve else []
    heads = ["model", *strength, "seeds"]
    heads += [head(name, facts[name]) for name in metrics]
    named = (*("" for _ in range(len(heads) - len(metrics))), *metrics)
    return Layout(
        title, heads, rows, roles, notes, (0,), looks, spread(part), name, tuple(ids), named
    )


def _name(first: Any, source: str, model: str, seen: Notes) -> str:
    """A row's name, with the number of its note where it has one; new notes go into `seen`."""
    published, note, mark = first["role"] == "published", str(first["note"] or ""), ""
    if published or note:
        about = seen.setdefault((source if published else "", note), {})
        about[source if published else model] = None
        mark = f" [{list(seen).index((source if published else '', note)) + 1}]"
    return f"{model}, published{mark}" if published else model + mark


def _numbered(seen: Notes) -> Iterator[str]:
    """The notes of rows, each once with all that it is about."""
    for number, ((_, note), names) in enumerate(seen.items(), 1):
        yield f"[{number}] {', '.join(names)}: {note}"


def every_layout(
    summary: pd.DataFrame, manifest: dict[str, Any], judged: pd.DataFrame
) -> Iterator[Layout]:
    """The tables of a run, then the claims of papers about them."""
    yield from layouts(summary, manifest)
    if len(judged):
        yield claims_layout(judged)


def claims_layout(judged: pd.DataFrame) -> Layout:
    """The claims of papers with their verdicts (see `results.claims`)."""
    heads = ["claim", "larger", "smaller", "difference", "published", "verdict"]
    rows = []
    for claim in judged.to_dict("records"):
        bounds = (claim["low"], claim["high"])
        known = not pd.isna(claim["larger"])
        cells = [
            f"{claim['id']}: {claim['claim']}",
            f"{claim['larger']:.3f}" if known else "–",
            f"{claim['smaller']:.3f}" if known else "–",
            " to ".join(f"{bound:.3f}" for bound in bounds) if known else "–",
            claim["published"],
            claim["verdict"],
        ]
        rows.append([(cell, "") for cell in cells])
    counts = judged["verdict"].value_counts()
    notes = ["larger, smaller: means over seeds; difference: its 95 % interval"]
    notes.append(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    files = ", ".join(dict.fromkeys(judged["source"]))
    return Layout(f"claims · {files}", heads, rows, ["model"] * len(rows), notes, (0, 5))


def _is_constant(name: str, facts: dict[str, Any], part: pd.DataFrame) -> bool:
    """Whether a metric without a better direction is the same for every model."""
    if facts.get("direction") != "none":
        return False
    values = part.loc[(part["metric"] == name) & (part["role"] != "published"), "value"]
    return bool(values.nunique() <= 1)


def _grouped(
    part: pd.DataFrame,
) -> Iterator[tuple[tuple[str, str, float | None], pd.DataFrame]]:
    """The rows that make one line of a table: of a model, or of a model at one radius; what has
    no radius stands on each of its lines.
    """
    for key, group in part.groupby(["source", "model", "settings"], sort=False):
        source, model, _ = cast(tuple[str, str, str], key)
        everywhere = group[group["epsilon"].isna()]
        curve = group[group["epsilon"].notna()]
        if curve.empty:
            yield (source, model, None), group
        for epsilon, at in curve.groupby("epsilon"):
            line = cast(pd.DataFrame, pd.concat([everywhere, at]))
            yield (source, model, cast(float, epsilon)), line


def _settings(part: pd.DataFrame) -> Iterator[str]:
    """The settings of the measured rows, each set once with the models it holds for; what a label
    tells is not said again, unless the other settings depend on it.
    """
    measured = part[part["source"] == "measured"]
    sets: dict[tuple[str, str], str] = {}
    for model, text, varied in zip(
        *(measured[c] for c in ("model", "settings", "swept")), strict=True
    ):
        settings, swept = json.loads(text), json.loads(varied)
        rest = {key: value for key, value in settings.items() if key not in swept}
        said = ", ".join(f"{key} {value}" for key, value in rest.items())
        sets[model, str(model).removesuffix(swept_text(swept))] = said
    bases: dict[str, set[str]] = {}
    for (_, base), said in sets.items():
        bases.setdefault(base, set()).add(said)
    named = {key: key[1] if len(bases[key[1]]) == 1 else key[0] for key in sets}
    for said in dict.fromkeys(sets.values()):
        if said:
            some = [name for key, name in named.items() if sets[key] == said]
            yield f"{_named(some, named.values())}: {said}"


def _named(models: Iterable[str], everyone: Iterable[str]) -> str:
    """Some of the labels of a table, in few words: all of them, all that end alike, or each."""
    some, every = list(dict.fromkeys(models)), set(everyone)
    if len(some) <= FEW:
        return ", ".join(some)
    if set(some) == every:
        return "all"
    ends = {label.rpartition(" / ")[2] for label in some}
    if len(ends) == 1 and set(some) == {x for x in every if x.rpartition(" / ")[2] in ends}:
        return f"all of {ends.pop()}"
    return ", ".join(some)


def _constants(part: pd.DataFrame, names: list[str], facts: dict[str, Any]) -> Iterator[str]:
    """Numbers that are the same for every model stand under the table, those of one kind in one
    line.
    """
    kinds: dict[str, list[str]] = {}
    for name in names:
        values = part.loc[part["metric"] == name, "value"].dropna().unique()
        if len(values):
            shown = ", ".join(number(value, facts[name]) for value in values)
            told = f"{facts[name].get('title') or name}: {shown}"
            kinds.setdefault(str(facts[name].get("estimator")), []).append(told)
    for estimator, told in kinds.items():
        yield f"{'; '.join(told)} ({estimator})"


def seeds_text(row: Any) -> str:
    """How many seeds are ok, and what became of the others."""
    if row["role"] == "published":
        return f"{row['seeds']} runs" if row["seeds"] else "runs not given"
    statuses = str(row["statuses"])
    return statuses.replace(" ok", "") if statuses.endswith(" ok") else statuses


def radius_text(radius: float) -> str:
    """A radius as people write it: short decimals as they are, grey levels as n/255."""
    levels = radius * 255
    if len(f"{radius:g}") > 5 and abs(levels * 2 - round(levels * 2)) < 1e-6:
        return f"{levels:g}/255"
    return f"{radius:.4g}"


def head(name: str, facts: Mapping[str, Any], at: str = "") -> str:
    """A metric's title, its unit, where it was measured, and which way is better."""
    arrow = {"higher": " ↑", "lower": " ↓"}.get(facts.get("direction", ""), "")
    unit = " %" if facts.get("percent") else ""
    return f"{facts.get('title') or name}{unit}{at}{arrow}"


def value_text(row: Any, facts: dict[str, Any]) -> tuple[str, str]:
    """A value and its interval as cells have them; a dash where there is none."""
    if row is None or pd.isna(row["value"]):
        return "–", ""
    value = number(row["value"], facts)
    if pd.isna(row["low"]):
        return value, ""
    if row["role"] == "published":
        unit = UNITS.get(row["interval"], "")
        return value, f"± {number(row['high'] - row['value'], facts)} {unit}".strip()
    dash = "–" if row["low"] >= 0 else " to "
    return value, f"{number(row['low'], facts)}{dash}{number(row['high'], facts)}"


def number(value: float, facts: dict[str, Any]) -> str:
    """A value with its metric's digits; shares as percent."""
    digits = int(facts.get("digits", 3))
    scaled = 100 * value if facts.get("percent") else value
    return f"{scaled:.{digits}f}".replace("-", "−") if scaled < 0 else f"{scaled:.{digits}f}"


def look_of(row: Any, facts: dict[str, Any], limits: tuple[float | None, float | None]) -> Look:
    """The mark of a value, and half of its interval where that is even and not cut at both ends."""
    if row is None or pd.isna(row["value"]):
        return Look()
    marks = (name for name in ("best", "tied") if not pd.isna(row[name]) and row[name])
    bare = pd.isna(row["low"])
    known = (row["value"], None if bare else row["low"], None if bare else row["high"])
    mark, unit = next(marks, ""), ""
    if bare:
        return Look(mark, "", "", *known)
    up, down = row["high"] - row["value"], row["value"] - row["low"]
    even = math.isclose(up, down, rel_tol=EVEN, abs_tol=EVEN * abs(row["value"]))
    if row["role"] == "published":
        unit = UNITS.get(row["interval"], "")
    elif not even or (row["low"], row["high"]) == limits:
        return Look(mark, "", "", *known)
    return Look(mark, number(up, facts), unit, *known)


def markdown(layout: Layout) -> str:
    """A GitHub table with the interval in parentheses."""
    lines = [f"**{literal(layout.title)}**", "", _piped([*map(literal, layout.heads)])]
    sides = ("---" if i in layout.left else "---:" for i in range(len(layout.heads)))
    lines.append(f"|{'|'.join(sides)}|")
    for i, row in enumerate(layout.rows):
        lines.append(_piped([_marked(layout, i, j) for j in range(len(row))]))
    notes = (f"{literal(note)}  " for note in layout.remarks)
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def literal(text: str) -> str:
    """A text that Markdown shows as it is."""
    return re.sub(r"([\\`*<\[\]])", r"\\\1", text)


def _marked(layout: Layout, row: int, column: int) -> str:
    """A cell on one line, the best in bold."""
    value, spread = map(literal, layout.text(row, column))
    shown = f"**{value}**" if layout.look(row, column).mark == "best" else value
    return f"{shown} ({spread})" if spread else shown


def _piped(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_csv(table: pd.DataFrame) -> str:
    """Rows for a spreadsheet: an apostrophe before text that it would take for a formula, and
    quotes around every text where one holds a carriage return, which would end its line.
    """
    words = [name for name in table if not is_numeric_dtype(table[name])]
    safe = {name: [_harmless(value) for value in table[name]] for name in words}
    cut = any(isinstance(value, str) and "\r" in value for name in words for value in safe[name])
    columns = {name: pd.Series(safe[name], table.index, object) for name in words}
    quoting = csv.QUOTE_NONNUMERIC if cut else csv.QUOTE_MINIMAL
    return table.assign(**columns).to_csv(index=False, quoting=quoting)


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return f"'{visible(value)}" if value.startswith(FORMULAS) else visible(value)


NESTED = ("settings", "versions", "larger_settings", "smaller_settings", "swept")
"""Columns that hold JSON."""


def as_json(table: pd.DataFrame) -> str:
    """A list of rows; what is missing or infinite is null, what a cell holds as JSON is nested."""
    rows = [
        {k: _nested(v) if k in NESTED else _plain(v) for k, v in row.items()}
        for row in table.to_dict("records")
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)


def _nested(value: Any) -> Any:
    """The object that a text is the JSON of; other texts as they are."""
    if not isinstance(value, str):
        return _plain(value)
    try:
        return json.loads(value)
    except ValueError:
        return value


def _plain(value: Any) -> Any:
    """A value as JSON can hold it, to the last digit."""
    if isinstance(value, np.generic):
        value = value.item()
    missing = value is None or value is pd.NA
    missing = missing or (isinstance(value, float) and not math.isfinite(value))
    return None if missing else value

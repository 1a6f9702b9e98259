"""Summaries as text: for a terminal, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

FORMATS = ("table", "markdown", "csv", "latex", "json")
FEW = 4


@dataclass(frozen=True)
class Layout:
    """One table to print: heads, and rows of cells of one or two lines (value, interval). left: the
    columns of words; numbers stand to the right.
    """

    title: str
    heads: list[str]
    rows: list[list[tuple[str, str]]]
    roles: list[str]
    notes: list[str]
    left: tuple[int, ...] = (0,)


def layouts(summary: pd.DataFrame, manifest: dict[str, Any]) -> Iterator[Layout]:
    """A layout for every block and data set, in the summary's order."""
    for key, part in summary.groupby(["block", "dataset"], sort=False):
        block, dataset = cast(tuple[str, str], key)
        facts = {name: manifest["metrics"].get(name, {}) for name in dict.fromkeys(part["metric"])}
        constants = [name for name in facts if _is_constant(name, facts[name], part)]
        metrics = [name for name in facts if name not in constants]
        rows, roles, notes = [], [], []
        epsilons = part["epsilon"].dropna()
        seen: dict[str, int] = {}
        for row_key, group in _grouped(part):
            source, model, epsilon = row_key
            first = group.iloc[0]
            note = str(first["note"] or "")
            mark = ""
            if first["role"] == "published" or note:
                text = f"{source}: {note}" if first["role"] == "published" else f"{model}: {note}"
                mark = f" [{seen.setdefault(text, len(seen) + 1)}]"
            values = {row["metric"]: row for _, row in group.iterrows()}
            cells = [_cell(values.get(name), facts[name]) for name in metrics]
            name = f"{model}, published{mark}" if first["role"] == "published" else model + mark
            radius = (
                [] if epsilons.empty else [("" if epsilon is None else radius_text(epsilon), "")]
            )
            rows.append([(name, ""), *radius, (_seeds(first), ""), *cells])
            roles.append(str(first["role"]))
        notes = [*_settings(part), *_constants(part, constants, facts)]
        notes += [f"[{number}] {text}" for text, number in seen.items()]
        described = manifest.get("parts", {}).get("dataset", {}).get(dataset, {})
        title = f"{block} · {dataset}" if dataset else str(block)
        if described.get("modes"):
            title += f" ({described['modes']} modes)"
        radius = [] if epsilons.empty else ["ε"]
        heads = ["model", *radius, "seeds", *(_head(name, facts[name]) for name in metrics)]
        yield Layout(title, heads, rows, roles, notes)


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
    notes = [", ".join(f"{count} {verdict}" for verdict, count in counts.items())]
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
    """The settings of the measured rows, each set once with the models it holds for."""
    measured = part[part["source"] == "measured"]
    for text, group in measured.groupby("settings", sort=False):
        settings = json.loads(str(text))
        if settings:
            said = ", ".join(f"{key} {value}" for key, value in settings.items())
            yield f"{_named(group['model'], measured['model'])}: {said}"


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
    """Numbers that are the same for every model stand under the table."""
    for name in names:
        values = part.loc[part["metric"] == name, "value"].dropna().unique()
        if len(values):
            shown = ", ".join(number(value, facts[name]) for value in values)
            yield f"{facts[name].get('title') or name}: {shown} ({facts[name].get('estimator')})"


def _seeds(row: Any) -> str:
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


def _head(name: str, facts: dict[str, Any]) -> str:
    arrow = {"higher": " ↑", "lower": " ↓"}.get(facts.get("direction", ""), "")
    unit = " %" if facts.get("percent") else ""
    return f"{facts.get('title') or name}{unit}{arrow}"


def _cell(row: Any, facts: dict[str, Any]) -> tuple[str, str]:
    if row is None or pd.isna(row["value"]):
        return "–", ""
    value = number(row["value"], facts)
    if pd.isna(row["low"]):
        return value, ""
    if row["role"] == "published":
        short = {"standard error": "SE", "standard deviation": "SD"}.get(row["interval"], "")
        return value, f"± {number(row['high'] - row['value'], facts)} {short}".strip()
    dash = "–" if row["low"] >= 0 else " to "
    return value, f"{number(row['low'], facts)}{dash}{number(row['high'], facts)}"


def number(value: float, facts: dict[str, Any]) -> str:
    """A value with its metric's digits; shares as percent."""
    digits = int(facts.get("digits", 3))
    scaled = 100 * value if facts.get("percent") else value
    return f"{scaled:.{digits}f}".replace("-", "−") if scaled < 0 else f"{scaled:.{digits}f}"


def markdown(layout: Layout) -> str:
    """A GitHub table with the interval in parentheses."""
    lines = [f"**{layout.title}**", "", _piped(layout.heads)]
    sides = ("---" if i in layout.left else "---:" for i in range(len(layout.heads)))
    lines.append(f"|{'|'.join(sides)}|")
    lines += [_piped([_one_line(*cell) for cell in row]) for row in layout.rows]
    return "\n".join([*lines, "", *(f"{note}  " for note in layout.notes)]).rstrip() + "\n"


def _piped(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def latex(layout: Layout) -> str:
    """A booktabs table."""
    rule = "l" + "r" * (len(layout.heads) - 1)
    body = [" & ".join(_tex(_one_line(*cell)) for cell in row) + r" \\" for row in layout.rows]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_tex(layout.title)}. Means with 95\,\% intervals over seeds.}}",
            rf"\begin{{tabular}}{{{rule}}}",
            r"\toprule",
            " & ".join(_tex(head) for head in layout.heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\\ \footnotesize {_tex(note)}" for note in layout.notes),
            r"\end{table}",
        ]
    )


def _one_line(value: str, spread: str) -> str:
    return f"{value} ({spread})" if spread else value


_TEX = {
    "\\": r"\textbackslash{}",
    "%": r"\%",
    "_": r"\_",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": r"$-$",
    "–": "--",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "‖": r"$\|$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


def as_json(table: pd.DataFrame) -> str:
    """A list of rows; what is missing is null."""
    rows = [{k: _plain(v) for k, v in row.items()} for row in table.to_dict("records")]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it, to the last digit."""
    if isinstance(value, np.generic):
        value = value.item()
    missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    return None if missing else value

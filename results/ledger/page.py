"""docs/ledger.md: the ledger as a page, grouped by paper, counts on top."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core.files import write_atomically
from results import bibliography
from results.frames import as_dicts
from results.judging import VERDICTS
from results.ledger.layouts import cells
from results.tables import literal

HERE = Path("docs") / "ledger.md"
"""Where a project keeps the page, seen from its root."""

TOP = """# What papers claimed, and what is measured here

Every claim is an inequality between two published numbers, or between one and a constant. It is
held against the 95 % interval of the difference of our two numbers, paired by seed.

- **reproduced**: it holds, and our protocol is the paper's
- **direction**: it holds under our smaller protocol, or on our data
- **contradicted**: our interval lies on the other side; what would overturn that stands beside it
- **not resolvable**: our interval holds 0
- **not comparable**: no row of ours can speak to it, with the reason
- **not measured**: nobody has run it yet; the command stands below

`bench claims` lists them, `bench claims RUN` judges them by any run that has the rows, and
`bench claims RUN --write` puts the verdicts into results/ledger.csv and makes this page: it is not
written by hand. An interval is over the trainings that were run, and over nothing else: with three
to five seeds a verdict is a step, not the last word. Nothing is corrected for the number of claims:
of a hundred such intervals about five miss by chance.
"""
KINDS = ("settings", "larger_settings", "smaller_settings")
TOLD = ("protocol", "steps", "images", "clip", "amplify")
"""The settings that a page names; results/ledger.csv has all."""


def write(listed: pd.DataFrame, path: Path = HERE) -> None:
    """Replace the page of this project."""
    write_atomically(path, page(listed).encode())


def page(listed: pd.DataFrame) -> str:
    """The page of all claims of a list."""
    files = {str(name): as_dicts(part) for name, part in listed.groupby("file", sort=False)}
    sections = ("\n".join(_section(name, rows)).rstrip() + "\n" for name, rows in files.items())
    return "\n".join([TOP, _counts(files), *sections])


def _counts(files: dict[str, list[dict[str, Any]]]) -> str:
    lines = [_line(["paper", *VERDICTS, "claims"]), _line(["---", *["---:"] * (len(VERDICTS) + 1)])]
    for name, rows in files.items():
        lines.append(_line([f"[{name}](#{name})", *_numbers(rows)]))
    together = [row for rows in files.values() for row in rows]
    lines.append(_line(["all", *_numbers(together)]))
    return "\n".join(lines) + "\n"


def _numbers(rows: list[dict[str, Any]]) -> list[str]:
    verdicts = [row["verdict"] for row in rows]
    return [*(str(verdicts.count(name) or "–") for name in VERDICTS), str(len(rows))]


def _section(name: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield "; ".join(f"{title(paper)} ({paper})" for paper in _each(rows, "paper"))
    yield ""
    heads = ["claim", "verdict", "published", "ours", "difference", "seeds", "by", "source"]
    yield _line(heads)
    yield _line(["---", "---", *["---:"] * 4, "---", "---"])
    numbers: dict[str, int] = {}
    for row in rows:
        run = told(row)
        by = f"{numbers.setdefault(run, len(numbers) + 1)}" if run else "–"
        yield _line(
            [
                _safe(f"{row['id']}: {row['claim']}"),
                *map(_safe, cells(row)),
                by,
                _safe(row["source"]),
            ]
        )
    yield ""
    yield from _notes(rows, numbers)


def _notes(rows: list[dict[str, Any]], numbers: dict[str, int]) -> Iterator[str]:
    for run, number in numbers.items():
        yield f"{number}. {_safe(run)}"
    if numbers:
        yield ""
    blocks = (
        ("Contradicted, and what would overturn it", "contradicted", "overturned_by"),
        ("Not comparable", "not comparable", "note"),
    )
    for head, verdict, column in blocks:
        some = [row for row in rows if row["verdict"] == verdict]
        if some:
            yield f"{head}:"
            yield ""
            for said in _each(some, column):
                ids = ", ".join(row["id"] for row in some if row[column] == said)
                yield f"- {_safe(ids)}: {_safe(said)}"
            yield ""
    commands = [*_each(rows, "measure")]
    if commands:
        yield "To measure:"
        yield ""
        for command in commands:
            some = [row["id"] for row in rows if row["measure"] == command]
            ids = "" if len(commands) == 1 else f": {_safe(', '.join(some))}"
            yield f"- `{command}`{ids}"
        yield ""


def told(row: dict[str, Any]) -> str:
    """Which run a verdict rests on; empty where there is none."""
    if not row["suite"]:
        return ""
    where = f"suite {row['suite']}, tier {row['tier']}"
    where += f", results/baselines/{row['baseline']}.csv" if row["baseline"] else ""
    commit = ", ".join(one[:12] for one in str(row["commit"]).split())
    said = [where, *_settings(row), f"seeds {row['seeds'].replace(',', ', ')}"]
    said += [f"commit {commit}" if commit else "", row["date"], row["note"]]
    return "; ".join(filter(None, said))


def _settings(row: dict[str, Any]) -> Iterator[str]:
    """Those that tell a protocol, of both rows where they differ."""
    shared, *own = (json.loads(row[name] or "{}") for name in KINDS)
    for name in TOLD:
        if name in shared:
            yield f"{name} {shared[name]}"
        elif values := [str(each[name]) for each in own if name in each]:
            yield f"{name} {' against '.join(values)}"


def _each(rows: Iterable[dict[str, Any]], column: str) -> Iterator[str]:
    return iter(dict.fromkeys(str(row[column]) for row in rows if row[column]))


def title(paper: str) -> str:
    """Of a paper in the bibliography."""
    found = re.search(r"title\s*=\s*\{(.*)\}", bibliography.entries()[paper])
    return re.sub(r"[{}]", "", found.group(1)) if found else paper


def _safe(text: str) -> str:
    return literal(text).replace("|", "\\|")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

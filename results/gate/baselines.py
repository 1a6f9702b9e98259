"""Baselines: committed tables, each the final rows of a run with facts, and why it was set.

A baseline is a CSV under the columns of every table and these: `primary` (whether the series
decides), `role`, `probed` (whether a same-seed probe gave the same value), the facts of the metric
(kind, absolute, relative, conditional, title, percent, digits), and on every row `baseline_rows`
(how many there are: a file that was cut is found out), `baseline_date` and `baseline_reason`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pandas as pd

from bench.core.errors import UsageError
from bench.core.files import user_path
from results.frames import as_dicts, column, pick
from results.gate.columns import GIVEN, ROWS
from results.gate.sides import Side, from_table, read_table
from results.rows import COLUMNS

HERE = Path("results") / "baselines"
"""Where a project keeps its baselines, seen from its root."""

SHIPPED = Path(__file__).parent.parent / "baselines"
FOLDERS = (HERE, SHIPPED)
REASON, DATE = "baseline_reason", "baseline_date"
ADDED = (*GIVEN, ROWS, DATE, REASON)


def find(name: str) -> Path | None:
    """The file of a baseline: the project's own before the one that ships with us."""
    if not name or Path(name).name != name:
        return None
    paths = (folder / f"{name}.csv" for folder in FOLDERS)
    return next((path for path in paths if user_path(path).is_file()), None)


def names() -> list[str]:
    """The baselines there are."""
    return sorted({path.stem for folder in FOLDERS for path in folder.glob("*.csv")})


def path_of(name: str) -> Path:
    """A baseline by its name or its file. Raises UsageError where there is none."""
    path = find(name)
    if path is None and user_path(name).is_file():
        path = user_path(name)
    if path is None:
        raise UsageError(
            f"no baseline '{name}': expected a file, or one of {', '.join(names()) or 'none yet'}"
        )
    return path


def make(side: Side, table: pd.DataFrame, reason: str, date: str) -> pd.DataFrame:
    """The table of a baseline from a run's rows and its side, which has the facts."""
    final = pick(table, column(table, "final"))
    about = {
        (row["cell_id"], row["metric"]): {name: row[name] for name in ADDED if name in row}
        for row in as_dicts(side.rows.drop_duplicates(["cell_id", "metric"]))
    }
    keys = zip(column(final, "cell_id"), column(final, "metric"), strict=True)
    facts = [about.get(key, GIVEN) for key in keys]
    added: dict[str, Any] = {name: [one[name] for one in facts] for name in GIVEN}
    added |= {ROWS: len(final), DATE: date, REASON: reason}
    whole = final.assign(**added)
    ordered = whole.sort_values(["task", "cell_id", "metric", "epsilon", "seed"], kind="stable")
    return cast(pd.DataFrame, ordered[[*COLUMNS, *ADDED]])


def about(name: str) -> dict[str, Any]:
    """What is known of a baseline: where it is, what of, when, why."""
    path = path_of(name)
    table = read_table(path, (DATE, REASON, "versions"))
    side = from_table(str(path), table)
    first = as_dicts(table)[0]
    seeds = sorted({int(seed) for seed in column(side.cells, "seed")})
    deciding = pick(side.rows, column(side.rows, "primary").astype(bool))
    commits = sorted({str(commit)[:12] for commit in column(table, "commit")} - {""})
    return {
        "name": path.stem,
        "path": str(path),
        "suite": ", ".join(side.suites),
        "tier": ", ".join(sorted(set(column(side.cells, "tier")))),
        "seeds": len(seeds),
        "cells": len(side.cells),
        "series": len(set(column(side.rows, "id"))),
        "deciding": len(set(column(deciding, "id"))) if side.primary else 0,
        "device": ", ".join(sorted(set(column(table, "device")))),
        "commit": ", ".join(commits),
        "date": str(first.get(DATE, "")),
        "reason": str(first.get(REASON, "")),
        "versions": str(first.get("versions", "")),
    }

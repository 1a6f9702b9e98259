"""One side of a comparison: the final values of a run or of a baseline, series by series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from bench.core.errors import UsageError, one_line, unknown
from results.frames import among, as_dicts, column, pick, plain_words
from results.gate.columns import ASKED, AXES, FACTS, FLAGS, GIVEN, NUMBERS, READ, ROWS, facts_from
from results.rows import BAD, SCHEMA_VERSION, STATUSES
from results.runs import Run
from results.store import frame

DIRECTIONS = ("higher", "lower", "none")
KINDS = ("deterministic", "paired", "seeded")
LARGEST = 2.0**53
LEFT = "left"

Lookup = Callable[[str, str], Mapping[str, Any]]
"""Task and metric to the facts of a registered metric; empty where there is none."""


@dataclass(frozen=True, eq=False)
class Side:
    """rows: the final values, one for each `id` (series and radius) and seed, with facts. cells:
    the status of every cell, "left" where it is planned and not measured. primary: whether somebody
    said which series decide.
    """

    name: str
    rows: pd.DataFrame
    cells: pd.DataFrame
    primary: bool

    @property
    def suites(self) -> list[str]:
        return list(dict.fromkeys(self.cells["suite"]))

    @property
    def gaps(self) -> pd.DataFrame:
        """The cells that failed or are left."""
        return pick(self.cells, among(column(self.cells, "status"), (*BAD, LEFT)))

    def where(self, name: str, values: Iterable[Any]) -> Side:
        """The part that has one of some values in a column."""
        known = [*values]
        rows, cells = (
            pick(table, among(column(table, name), known)) for table in (self.rows, self.cells)
        )
        return replace(self, rows=rows, cells=cells)


def refuse_gaps(side: Side, why: str) -> None:
    """Raise UsageError for a side with cells that failed or are left."""
    gaps = side.gaps
    if len(gaps):
        first = as_dicts(gaps)[0]
        raise UsageError(
            one_line(
                f"{len(gaps)} of {len(side.cells)} cells of {side.name} are not measured (first: "
                f"{first['cell_id']}, seed {first['seed']}: {first['status']}): {why}; run the "
                "suite again first"
            )
        )


def from_run(run: Run, lookup: Lookup) -> Side:
    """A run; cells that are planned and not measured count as left."""
    name, manifest = run.name, run.manifest
    table = _typed(Path(name), frame(run.records.values()))
    every = {**manifest.get("measured", {}), **manifest["metrics"]}
    facts = {name: facts_from(about) for name, about in every.items()}
    side = from_table(name, with_facts(table, facts, lookup))
    known = {(cell_id, metric): role for cell_id, metric, role in _deciding(manifest)}
    keys = list(zip(side.rows["cell_id"], side.rows["metric"], strict=True))
    roles = {cell["cell_id"]: role_of(manifest, cell) for cell in manifest["cells"]}
    shipped = {cell["cell_id"] for cell in manifest["cells"] if _is_shipped(manifest, cell)}
    rows = side.rows.assign(
        primary=[known.get(key, "floor") != "floor" for key in keys],
        role=[roles.get(cell_id, "model") for cell_id, _ in keys],
        shipped=[cell_id in shipped for cell_id, _ in keys],
    )
    left = [
        {
            "suite": manifest["suite"],
            "tier": manifest["tier"],
            **{axis: cell["parts"].get(axis, "") for axis in AXES},
            "task": cell["task"],
            "cell_id": cell["cell_id"],
            "seed": cell["seed"],
            "status": LEFT,
            "reason": "not measured, or its file is damaged",
        }
        for cell in {cell["key"]: cell for cell in manifest["cells"]}.values()
        if cell["key"] not in run.records
    ]
    cells = pd.concat([side.cells, pd.DataFrame(left)]) if left else side.cells
    return Side(name, rows, cast(pd.DataFrame, cells), True)


def _deciding(manifest: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Cell, metric and role of what the suite's blocks name as primary."""
    primary = {block["name"]: block["primary"] for block in manifest["blocks"]}
    for cell in manifest["cells"]:
        for metric in primary.get(cell["block"], []):
            yield cell["cell_id"], metric, role_of(manifest, cell)


def role_of(manifest: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """Where a cell's row belongs; "floor" where any of its parts is one."""
    found = [
        manifest.get("parts", {}).get(axis, {}).get(name, {}).get("role", "model")
        for axis, name in cell["parts"].items()
    ]
    return next((role for role in found if role != "model"), "model")


def _is_shipped(manifest: Mapping[str, Any], cell: Mapping[str, Any]) -> bool:
    """Whether every model of a cell came with its weights."""
    parts = manifest.get("parts", {})
    models = [parts.get(axis, {}).get(name, {}) for axis, name in _models(cell)]
    return bool(models) and all(facts.get("shipped", False) for facts in models)


def _models(cell: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (axis, cell["parts"][axis]) for axis in ("source_model", "model") if axis in cell["parts"]
    ]


def with_facts(
    table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], lookup: Lookup
) -> pd.DataFrame:
    """A table with the columns of `FACTS`, where it lacks them: from `facts` by metric, else looked
    up.
    """
    if set(ASKED) <= set(table.columns):
        return table
    pairs = table[["task", "metric"]].drop_duplicates()
    known = {
        (task, metric): {**FACTS, **(facts.get(metric) or facts_from(lookup(task, metric)))}
        for task, metric in pairs.itertuples(index=False)
        if metric
    }
    keys = list(zip(table["task"], table["metric"], strict=True))
    columns = {
        name: [known.get(key, FACTS)[name] for key in keys]
        for name in FACTS
        if name not in table.columns
    }
    return table.assign(**columns)


def narrowed(side: Side, only: Iterable[tuple[str, str]]) -> Side:
    """The part of a side whose axes match every pattern; several for one axis add up. Raises
    UsageError for an axis there is not, or where nothing is left.
    """
    patterns: dict[str, list[str]] = {}
    for axis, pattern in only:
        if axis not in AXES:
            raise unknown("axis in `only`", axis, AXES)
        patterns.setdefault(axis, []).append(pattern)
    if not patterns:
        return side
    kept = [
        cell["cell_id"]
        for cell in as_dicts(side.cells)
        if all(
            any(fnmatchcase(cell[axis], glob) for glob in globs) for axis, globs in patterns.items()
        )
    ]
    if not kept:
        said = ", ".join(f"{axis}={glob}" for axis, globs in patterns.items() for glob in globs)
        raise UsageError(f"`only` {said}: no cell of {side.name} matches")
    return side.where("cell_id", kept)


def read_side(path: Path, lookup: Lookup, name: str = "") -> Side:
    """A table.parquet, a table.csv or a baseline. Raises UsageError for what is none."""
    return from_table(name or str(path), with_facts(read_table(path), {}, lookup))


def from_table(name: str, table: pd.DataFrame) -> Side:
    """A table of rows with facts. Raises UsageError where it contradicts itself."""
    table = plain_words(pick(table, column(table, "final")))
    keys = ["suite", "tier", *AXES, "cell_id", "seed", "status", "reason"]
    cells = cast(pd.DataFrame, table[keys]).drop_duplicates(["cell_id", "seed", "suite"])
    _refuse_two_statuses(name, table)
    rows = pick(table, (column(table, "metric") != "") & (column(table, "status") == "ok"))
    rows = rows.assign(id=pd.Series(_ids(rows), rows.index, dtype=object))
    twice = pick(rows, rows.duplicated(["id", "seed"]))
    if len(twice):
        first = twice.iloc[0]
        raise UsageError(
            one_line(f"{name}: seed {first['seed']} of {first['series']} stands there twice")
        )
    said = "primary" in table.columns
    usual = {**GIVEN, "primary": True}
    lacking = {name: value for name, value in usual.items() if name not in rows.columns}
    return Side(name, rows.assign(**lacking), cells, said)


def _refuse_two_statuses(name: str, table: pd.DataFrame) -> None:
    keys = ["suite", "cell_id", "seed"]
    found: Any = table[[*keys, "status"]].drop_duplicates()
    twice = pick(found, found.duplicated(keys))
    if len(twice):
        first = as_dicts(twice)[0]
        raise UsageError(
            one_line(
                f"{name}: seed {first['seed']} of {first['cell_id']} has two statuses, one of them "
                f"{first['status']}: expected one run's rows"
            )
        )


def _ids(rows: pd.DataFrame) -> list[str]:
    """A series at a radius."""
    return [
        series if np.isnan(epsilon) else f"{series} at {epsilon:.12g}"
        for series, epsilon in zip(
            column(rows, "series"), column(rows, "epsilon").astype(float), strict=True
        )
    ]


def read_table(path: Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """The rows of a .parquet or .csv file, typed; further columns as text. Raises UsageError for a
    file that can't be read, was cut, is of a newer schema or is no table of ours.
    """
    wanted = {*READ, *GIVEN, ROWS, *columns}
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(
                path, dtype=str, keep_default_na=False, usecols=lambda name: name in wanted
            )
    except OSError as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise UsageError(f"can't read {path}: {error.strerror}") from error
        raise _unreadable(path, error) from error
    except Exception as error:
        raise _unreadable(path, error) from error
    if "schema_version" in table.columns:
        _refuse_newer(path, table)
    missing = [name for name in READ if name not in table.columns]
    if missing:
        raise UsageError(
            one_line(
                f"{path} has no column {', '.join(missing[:3])}{_more(missing[3:])}: expected a "
                "table that `bench run` or `bench baseline set` wrote"
            )
        )
    if table.empty:
        raise UsageError(f"{path} has no rows: expected those of a run")
    table = cast(pd.DataFrame, table[[name for name in table.columns if name in wanted]])
    return _checked(path, _typed(path, table))


def _more(names: list[str]) -> str:
    return f" and {len(names)} more" if names else ""


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(
        one_line(
            f"{path} can't be read ({error}): expected a whole table that `bench run` wrote; was "
            "it cut?"
        )
    )


def _refuse_newer(path: Path, table: pd.DataFrame) -> None:
    versions = cast(Any, pd.to_numeric(table["schema_version"], errors="coerce"))
    newest = float(versions.max())
    if newest > SCHEMA_VERSION:
        raise UsageError(
            f"{path} is of schema {newest:g}, newer than {SCHEMA_VERSION}: upgrade minimax-bench"
        )


def _typed(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    out = {}
    for name in table.columns:
        given = cast(Any, table[name])
        if name in NUMBERS:
            out[name] = _numbers(path, name, given)
        elif name in FLAGS:
            out[name] = _flags(path, name, given)
        else:
            out[name] = pd.Series(_words(path, name, given), dtype=object)
    typed = pd.DataFrame(out)
    for name in ("seed", "schema_version"):
        numbers = column(typed, name)
        whole = (numbers == np.round(numbers)) & (np.abs(numbers) < LARGEST)
        if not whole.all():
            got = numbers[~whole][0]
            raise UsageError(
                f"{path}: {name}: expected whole numbers, got {got:g}; was the file cut?"
            )
        typed[name] = numbers.astype(int)
    return typed


def _numbers(path: Path, name: str, given: Any) -> np.ndarray:
    if given.dtype.kind in "fiu":
        return given.to_numpy(float, na_value=np.nan)
    try:
        return np.array(
            [
                np.nan if text is pd.NA or text in ("", None) else float(text)
                for text in given.to_numpy(dtype=object)
            ]
        )
    except (TypeError, ValueError) as error:
        raise UsageError(one_line(f"{path}: {name}: expected numbers: {error}")) from None


def _words(path: Path, name: str, given: Any) -> np.ndarray:
    """Raises UsageError for a column of lists and the like, which a .parquet file can hold."""
    text = given if pd.api.types.is_string_dtype(given.dtype) else given.astype("string")
    found = text.to_numpy(dtype=object, na_value="")
    strange = next((one for one in found if not isinstance(one, str)), None)
    if strange is not None:
        raise UsageError(
            one_line(f"{path}: {name}: expected words, got a {type(strange).__name__}: {strange!r}")
        )
    return found


def _flags(path: Path, name: str, given: Any) -> np.ndarray:
    words = {"True": True, "False": False}
    if given.dtype == bool:
        return given.to_numpy()
    known = [words.get(str(value)) for value in given.to_numpy(dtype=object)]
    if None in known:
        bad = given.iloc[known.index(None)]
        raise UsageError(one_line(f"{path}: {name}: expected True or False, got {bad!r}"))
    return np.array(known, bool)


def _checked(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    statuses = column(table, "status")
    strange = statuses[~among(statuses, STATUSES)]
    if len(strange):
        raise UsageError(one_line(f"{path}: unknown status '{strange[0]}'; was the file cut?"))
    measured = column(table, "metric") != ""
    _refuse_strange(path, "direction", column(table, "direction")[measured], DIRECTIONS)
    if "kind" in table.columns:
        _refuse_strange(path, "kind", column(table, "kind"), KINDS)
    for name in ("absolute", "relative", "digits"):
        if name in table.columns:
            numbers = column(table, name)
            wrong = numbers[~(np.isfinite(numbers) & (numbers >= 0))]
            if len(wrong):
                raise UsageError(
                    f"{path}: {name}: expected numbers of 0 or more, got {wrong[0]:g}; was the "
                    "file cut?"
                )
    if not column(table, "final").any():
        raise UsageError(f"{path} has no final rows: expected those of a run that was finished")
    if not np.isfinite(column(table, "value")[measured]).all():
        raise UsageError(f"{path}: a metric without a finite value; was the file cut?")
    if ROWS in table.columns:
        planned = column(table, ROWS)[0]
        if (column(table, ROWS) != len(table)).any():
            raise UsageError(
                f"{path} has {len(table)} of {planned:g} rows: it was cut or edited; set the "
                "baseline again, or take it from version control"
            )
    return table


def _refuse_strange(path: Path, name: str, words: np.ndarray, known: Iterable[str]) -> None:
    strange = words[~among(words, known)]
    if len(strange):
        text = f"{path}: {name}: expected {', '.join(known)}, got '{strange[0]}'; was the file cut?"
        raise UsageError(one_line(text))

"""Who is asked: a run, a table of rows, or a committed baseline."""

from __future__ import annotations

from pathlib import Path

from bench.core.errors import UsageError, one_line
from bench.core.files import user_path
from results.evidence import Evidence, from_records, from_rows
from results.frames import as_dicts
from results.gate.baselines import find
from results.gate.sides import read_table
from results.runs import find_run, read_run, refusing_damage

WANTED = ("settings", "std_error", "started_at", "code")
TABLES = (".csv", ".parquet")


def witness(name: str) -> Evidence:
    """What was measured, by the name of a run (a folder, or a suite for the last tier of it that
    was run here), of a table's file, or of a baseline. Raises UsageError for what is none.
    """
    path = user_path(name)
    if path.suffix in TABLES:
        return _table(path)
    try:
        directory = find_run(name)
    except UsageError:
        baseline = find(name)
        if baseline is None:
            raise
        return _table(baseline)
    run = read_run(directory)
    with refusing_damage(run.name):
        return from_records(run.records.values())


def _table(path: Path) -> Evidence:
    known = find(path.stem)
    is_baseline = known is not None and path.resolve() == known.resolve()
    rows = as_dicts(read_table(path, WANTED))
    try:
        return from_rows(rows, path.stem if is_baseline else "")
    except (KeyError, ValueError, RecursionError) as error:
        raise UsageError(
            one_line(
                f"{path} can't be judged ({error!r}): expected settings, std_error and started_at "
                "as `bench run` writes them"
            )
        ) from error

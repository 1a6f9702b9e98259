"""Runs, tables and baselines as sides of a comparison, found by what a user types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import UsageError, one_line, unknown
from bench.tasks import TASKS
from results.baselinefiles import FOLDERS, find, names
from results.gate.sides import Side, from_run, read_side
from results.store import RunDirectory, is_key

SUFFIXES = (".csv", ".parquet")


def side_of(name: str) -> Side:
    """A run's folder, a .csv or .parquet table, or a baseline's name. Raises UsageError for what is
    none of these, or damaged.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return run_side(path)
    if path.suffix in SUFFIXES:
        return read_side(path, registered_facts)
    kept = find(name)
    if kept is not None:
        return read_side(kept, registered_facts)
    tiers = sorted(Path("runs", name).glob("*/manifest.json"), key=lambda p: p.stat().st_mtime)
    if tiers and "/" not in name:
        return run_side(tiers[-1].parent)
    if "/" in name or not names():
        raise UsageError(
            f"'{name}' is not there: expected a run's folder, a .csv or .parquet table, or a "
            f"baseline in {' or '.join(str(folder) for folder in FOLDERS)}"
        )
    raise unknown("baseline", name, names(), "(or a run's folder, a .csv or .parquet table)")


def run_side(path: Path) -> Side:
    """A run's folder; a run that is still going has cells left."""
    directory = RunDirectory(path)
    manifest = directory.manifest()
    keys = [cell["key"] for cell in manifest["cells"] if is_key(cell.get("key"))]
    records, _ = directory.read_cells(keys)
    try:
        return from_run(str(path), manifest, records, registered_facts)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        text = f"manifest.json of {path} is damaged ({error!r}): run the suite with --fresh"
        raise UsageError(one_line(text)) from error


def registered_facts(task: str, metric: str) -> Mapping[str, Any]:
    """What a task says of a metric by the name on its rows; nothing where it knows none."""
    name, _, rest = metric.partition("@")
    try:
        return TASKS[task].part.metric_facts(f"{name}@{rest.partition(':')[0]}" if rest else name)
    except UsageError:
        return {}

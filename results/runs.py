"""Runs that were made: found by what a user types, read once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core.errors import UsageError, one_line
from results.claims import judge
from results.store import RunDirectory, is_key
from results.summary import summarise


def run_folder(run: str) -> Path:
    """A run's folder, or that of the last tier of a suite that was run here."""
    path = Path(run).expanduser()
    try:
        if path.exists() or "/" in run:
            return path
    except OSError as error:
        raise UsageError(one_line(f"can't read {run}: {error.strerror}")) from error
    tiers = sorted(Path("runs", run).glob("*/manifest.json"), key=lambda p: p.stat().st_mtime)
    if not tiers:
        raise UsageError(
            f"no run '{run}': expected a run's folder, such as runs/mode-collapse/quick, or the "
            "name of a suite that was run here"
        )
    return tiers[-1].parent


def records_of(run: str) -> tuple[RunDirectory, dict[str, Any], dict[str, dict[str, Any]]]:
    """A run's directory, manifest and finished cells; a run that is still going, too.

    `run` is a folder, or a suite's name for the last tier of it that was run here.
    """
    directory = RunDirectory(run_folder(run))
    manifest = directory.manifest()
    records, _ = directory.read_cells(
        cell["key"]
        for cell in manifest["cells"]
        if isinstance(cell, dict) and is_key(cell.get("key"))
    )
    return directory, manifest, records


def summary_of(run: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The summary of a run and its manifest. Raises UsageError for a damaged one."""
    _, manifest, records = records_of(run)
    with refusing_damage(run):
        return summarise(manifest, records), manifest


@contextmanager
def refusing_damage(run: str) -> Iterator[None]:
    """What goes wrong inside is the fault of a damaged manifest: a UsageError that says so."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        text = f"manifest.json of {run} is damaged ({error!r}): run the suite with --fresh"
        raise UsageError(one_line(text)) from error


def show(run: str) -> pd.DataFrame:
    """The summary of a run: means, intervals, counts, published rows."""
    return summary_of(run)[0]


def claims(run: str) -> pd.DataFrame:
    """What papers say of a run's numbers, held against them; empty where its suite names none.

    A row a claim: both numbers (means over seeds), the 95 % interval of their difference, the
    published numbers, and the verdict: ok, contradicted, not resolvable or not measured.
    """
    _, manifest, records = records_of(run)
    with refusing_damage(run):
        return judge(manifest, records)

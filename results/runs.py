"""Runs that were made: found by what a user types, each file read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core.arguments import checked
from bench.core.errors import UsageError, one_line
from bench.core.files import user_path
from results.judging import judge
from results.store import RunDirectory, is_key
from results.summary import summarise
from results.tables import Layout, every_layout


@dataclass(frozen=True, eq=False)
class Run:
    """A run, be it still going. records: its finished cells, by key."""

    directory: RunDirectory
    manifest: dict[str, Any]
    records: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        """Its folder."""
        return str(self.directory.path)

    @property
    def left_out(self) -> str:
        """What to say of finished cells that its tables leave out, or empty."""
        return left_out(self.directory, self.manifest)

    def summary(self) -> pd.DataFrame:
        """Means, intervals, counts, published rows."""
        with refusing_damage(self.name):
            return summarise(self.manifest, self.records)

    def claims(self) -> pd.DataFrame:
        """What papers say of its numbers, held against them."""
        with refusing_damage(self.name):
            return judge(self.manifest, self.records)

    def layouts(self) -> list[Layout]:
        """Its tables, then the claims of papers about them."""
        summary, judged = self.summary(), self.claims()
        with refusing_damage(self.name):
            return list(every_layout(summary, self.manifest, judged))


def find_run(run: str, others: str = "") -> RunDirectory:
    """A run's folder, or that of the last tier of a suite that was run here; nothing of it is read.

    others: what else would have done, for the message. Raises UsageError where there is none.
    """
    if not run.strip():
        raise UsageError("no run: the name is empty: expected a run's folder, or a suite's name")
    path = user_path(run)
    try:
        if path.exists() or "/" in run:
            return RunDirectory(path)
    except OSError as error:
        raise UsageError(one_line(f"can't read {run}: {error.strerror}")) from error
    found = last_tier(run)
    if found is None:
        raise UsageError(
            f"no run '{run}': expected a run's folder, such as runs/mode-collapse/quick, or the "
            f"name of a suite that was run here{others}"
        )
    return found


def left_out(directory: RunDirectory, manifest: Mapping[str, Any]) -> str:
    """What to say of finished cells that the last command did not ask for, or empty: they are in no
    table, and cited nowhere.
    """
    count = directory.others(str(cell.get("key")) for cell in manifest["cells"])
    if not count:
        return ""
    return (
        f"{count} more finished cells lie in {directory.path}, which the last command did not ask "
        "for: the one that measured them (other `only`, `grid`, `seeds` or `set`, the same `out`) "
        "puts them back into the tables, and measures nothing again"
    )


def last_tier(suite: str) -> RunDirectory | None:
    """The folder of the tier of a suite that was last run here."""
    manifests = Path("runs", suite).glob("*/manifest.json")
    last = max(manifests, key=lambda path: path.stat().st_mtime, default=None)
    return None if last is None else RunDirectory(last.parent)


def read_run(directory: RunDirectory) -> Run:
    """A run as it stands. Raises UsageError where there is none, or a damaged one."""
    manifest = directory.manifest()
    planned = (cell.get("key") for cell in manifest["cells"])
    records, _ = directory.read_cells(filter(is_key, planned))
    return Run(directory, manifest, records)


def open_run(run: str, others: str = "") -> Run:
    """A run, by its folder, or a suite's name for the last tier of it that was run here."""
    return read_run(find_run(run, others))


@contextmanager
def refusing_damage(run: str) -> Iterator[None]:
    """What goes wrong inside is the fault of a damaged manifest: a UsageError that says so."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        text = f"manifest.json of {run} is damaged ({error!r}): run the suite with `fresh`"
        raise UsageError(one_line(text)) from error


@checked()
def records_of(run: str) -> tuple[RunDirectory, dict[str, Any], dict[str, dict[str, Any]]]:
    """A run's directory, manifest and finished cells; a run that is still going, too.

    `run` is a folder, or a suite's name for the last tier of it that was run here.
    """
    found = open_run(run)
    return found.directory, found.manifest, found.records


@checked()
def summary_of(run: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The summary of a run and its manifest. Raises UsageError for a damaged one."""
    found = open_run(run)
    return found.summary(), found.manifest


@checked()
def claims(run: str) -> pd.DataFrame:
    """What papers say of a run's numbers, held against them; empty where its suite names none.

    A row a claim: both numbers (means over seeds), the 95 % interval of their difference, the
    published numbers, and the verdict: ok, contradicted, not resolvable, not comparable or not
    measured; `finding` says of an ok one whether our protocol is the paper's (reproduced) or not
    (direction). `ledger` judges every claim there is, whatever the suite names.
    """
    return open_run(run).claims()

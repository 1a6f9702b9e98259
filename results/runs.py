"""Runs that were made: found by what a user types, each file read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd

from bench.core.arguments import checked
from bench.core.errors import UsageError, one_line
from bench.core.files import user_path
from results.along import along_layouts, along_rows, named_metrics
from results.chosen import in_order, of_models, sorted_by
from results.costs import COST, costed
from results.join import Part, join
from results.judging import judge
from results.store import RunDirectory, is_key
from results.summary import summarise
from results.tables import Layout, every_layout, layouts


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


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of a run, or of several as if one had made them. along: settings to lay tables
    along; metrics, models: those to show, the usual ones where none are named; models are patterns
    of names. sort: the metric whose best row comes first. cost: whether CPU seconds have a column.
    """

    runs: Sequence[Run]
    along: Sequence[str] = ()
    metrics: Sequence[str] = ()
    models: Sequence[str] = ()
    sort: str = ""
    cost: bool = False

    @property
    def name(self) -> str:
        """Of its runs."""
        return ", ".join(run.name for run in self.runs)

    @cached_property
    def joined(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """A manifest and finished cells by key."""
        with refusing_damage(self.name):
            found = (
                (self.runs[0].manifest, self.runs[0].records)
                if len(self.runs) == 1
                else join([Part(run.name, run.manifest, run.records) for run in self.runs])
            )
            return costed(*found) if self.cost else found

    def rows(self) -> pd.DataFrame:
        """The summary: all of it, or what the tables along settings hold, of the metrics that are
        asked for. Of several runs each row says whose it is, where it is one's alone.
        """
        manifest, summary = self.joined[0], self._summary()
        if self.along:
            return along_rows(summary, manifest, self.along, self.metrics)
        return self._asked(summary)

    def layouts(self) -> list[Layout]:
        """Its tables; of whole runs the claims of papers about them, too."""
        manifest, summary = self.joined[0], self._summary()
        with refusing_damage(self.name):
            if self.along:
                return [*along_layouts(summary, manifest, self.along, self.metrics)]
            if self.metrics or self.models:
                return [*layouts(self._asked(summary), manifest)]
            judged = [run.claims() for run in self.runs]
            return [*every_layout(summary, manifest, pd.concat(judged, ignore_index=True))]

    def _summary(self) -> pd.DataFrame:
        manifest, records = self.joined
        with refusing_damage(self.name):
            whole = summarise(manifest, records)
        return sorted_by(of_models(whole, self.models), self.sort, manifest["metrics"])

    def _asked(self, summary: pd.DataFrame) -> pd.DataFrame:
        if not self.metrics:
            return summary
        asked = [*named_metrics(summary, self.metrics), *([COST] if self.cost else [])]
        return in_order(cast(pd.DataFrame, summary[summary["metric"].isin(asked)]), asked)


def open_shown(
    runs: Sequence[str],
    along: Sequence[str] = (),
    metrics: Sequence[str] = (),
    models: Sequence[str] = (),
    sort: str = "",
    cost: bool = False,
) -> Shown:
    """Runs by their folders, or by suites' names, to be shown. Raises UsageError for none."""
    if cost and along:
        raise UsageError("`cost` is a column of tables of rows: leave `along` out")
    if not runs:
        raise UsageError("no run: expected a run's folder, or a suite's name")
    return Shown([open_run(run) for run in runs], along, metrics, models, sort, cost)


def find_run(run: str) -> RunDirectory:
    """A run's folder, or that of the last tier of a suite that was run here; nothing of it is read.

    Raises UsageError where there is none.
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
            "name of a suite that was run here"
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


def open_run(run: str) -> Run:
    """A run, by its folder, or a suite's name for the last tier of it that was run here."""
    return read_run(find_run(run))


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
def show(
    run: str,
    *more: str,
    along: str | Sequence[str] = (),
    metric: str | Sequence[str] = (),
    model: str | Sequence[str] = (),
    sort: str = "",
    cost: bool = False,
) -> pd.DataFrame:
    """The summary of a run, or of several joined: means, intervals, counts, published rows. along:
    one or two settings, whose values are columns then; metric, model: those to keep, all unless
    told, models by patterns of their names; sort: the metric whose best row comes first; cost:
    whether each model has a row `cpu_seconds`, where it was trained in these runs.
    """
    named = [(one,) if isinstance(one, str) else tuple(one) for one in (along, metric, model)]
    return open_shown([run, *more], named[0], named[1], named[2], sort, cost).rows()


@checked()
def claims(run: str) -> pd.DataFrame:
    """What papers say of a run's numbers, held against them; empty where its suite names none.

    A row a claim: both numbers (means over seeds), the 95 % interval of their difference, the
    published numbers, and the verdict: ok, contradicted, not resolvable, not comparable or not
    measured; `finding` says of an ok one whether our protocol is the paper's (reproduced) or not
    (direction). `ledger` judges every claim there is, whatever the suite names.
    """
    return open_run(run).claims()

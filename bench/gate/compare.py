"""Runs, tables and baselines as sides of a comparison, found by what a user types."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.catalogue.index import metric_facts
from bench.core.arguments import checked
from bench.core.errors import UsageError, one_line, unknown
from bench.core.files import refuse_unwritable, user_path, write_atomically
from bench.core.progress import Notify, tell_nobody
from results.gate import baselines, judging
from results.gate import calibration as calibrating
from results.gate.calibration import SPLITS, Calibration, as_rows
from results.gate.junit import junit as junit_xml
from results.gate.margins import margins
from results.gate.policy import read_policy
from results.gate.reach import stuck
from results.gate.sides import Side, from_run, narrowed, read_side
from results.gate.summary import summary
from results.gate.verdicts import Comparison
from results.runs import Run, last_tier, read_run, refusing_damage
from results.store import RunDirectory

SUFFIXES = (".csv", ".parquet")


@checked()
def comparison(
    base: str,
    new: str,
    *,
    policy: str | None = None,
    on_inconclusive: str | None = None,
    only: Iterable[tuple[str, str]] = (),
    junit: str | None = None,
    markdown: str | None = None,
) -> Comparison:
    """Hold a run against a baseline: verdicts and an exit code.

    base, new: a run's folder, a .csv or .parquet table, or the name of a baseline. policy: a TOML
    file. on_inconclusive: "fail" or "pass", before what the policy says. only: axes and patterns
    that narrow both sides, for a run that was narrowed so. junit, markdown: files to
    write. Raises UsageError for what can't be read or has nothing in common.
    """
    judged_by = read_policy(policy)
    if on_inconclusive is not None:
        judged_by = judged_by.with_inconclusive(on_inconclusive)
    refuse_unwritable({"junit": junit, "markdown": markdown})
    chosen = list(only)
    before, after = (narrowed(side_of(name), chosen) for name in (base, new))
    found = judging.compare_sides(before, after, judged_by)
    if text := stuck(before.rows, judged_by):
        found = replace(found, notes=(*found.notes, text))
    if junit is not None:
        write_atomically(user_path(junit), junit_xml(found))
    if markdown is not None:
        write_atomically(user_path(markdown), summary(found).encode())
    return found


@checked("notify", "warn")
def calibration(
    run: str,
    *,
    policy: str | None = None,
    new: int | None = None,
    splits: int = SPLITS,
    write_policy: str | None = None,
    notify: Notify = tell_nobody,
    warn: Callable[[str], None] = lambda text: None,
) -> list[Calibration]:
    """What a gate on a run's own seeds would see, and how often it would err; one for each suite.

    new: how many seeds are dealt to the new part; half of them unless told. write_policy: a TOML
    file for the margins at which nothing but noise would pass; `warn` is told of those that would
    gate nothing and are not in it. Raises UsageError for a run of fewer than four seeds, and where
    all margins would gate nothing.
    """
    refuse_unwritable({"write_policy": write_policy})
    found = calibrating.calibrate(side_of(run), read_policy(policy), new, splits, notify)
    if write_policy is not None:
        policy_of = margins(found)
        if not policy_of.written:
            raise UsageError(
                f"`write_policy`: no margin would gate anything: {'; '.join(policy_of.refused[:3])}"
            )
        write_atomically(user_path(write_policy), policy_of.text.encode())
        for why in policy_of.refused:
            warn(f"no margin for {why}")
    return found


def compare(base: str, new: str, **options: Any) -> pd.DataFrame:
    """Hold a run against a baseline; a row for each suite, series and failed cell, the worst first.
    The options are those of `comparison`.
    """
    return comparison(base, new, **options).rows


def calibrate(run: str, **options: Any) -> pd.DataFrame:
    """What a gate on a run's own seeds would see of each deciding series; a row for each. The
    options are those of `calibration`.
    """
    return as_rows(calibration(run, **options))


def side_of(name: str) -> Side:
    """A run's folder, a .csv or .parquet table, or a baseline's name. Raises UsageError for what is
    none of these, or damaged.
    """
    path = user_path(name)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:
        raise UsageError(one_line(f"can't read {name}: {error}")) from error
    if is_folder:
        return side_of_run(read_run(RunDirectory(path)))
    if path.suffix in SUFFIXES:
        return read_side(path, registered_facts)
    if is_file:
        raise UsageError(f"{name} is no table: expected a .csv or .parquet file, or a run's folder")
    kept = baselines.find(name)
    if kept is not None:
        return read_side(kept, registered_facts, name)
    last = None if "/" in name else last_tier(name)
    if last is not None:
        return side_of_run(read_run(last))
    if "/" in name or not baselines.names():
        raise UsageError(
            f"'{name}' is not there: expected a run's folder, a .csv or .parquet table, or a "
            f"baseline in {' or '.join(str(folder) for folder in baselines.FOLDERS)}"
        )
    raise unknown(
        "baseline", name, baselines.names(), "(or a run's folder, a .csv or .parquet table)"
    )


def side_of_run(run: Run) -> Side:
    """A run; one that is still going has cells left."""
    with refusing_damage(run.name):
        return from_run(run, registered_facts)


def registered_facts(task: str, metric: str) -> Mapping[str, Any]:
    """The facts of a metric by the name on its rows, for tables that do not say them; none where
    nobody knows them: kind and margin are then the narrowest. From the tasks where they were
    imported anyway, since torch comes with them; else as they were kept.
    """
    if "bench.tasks" in sys.modules:
        from bench.tasks.values import facts_on_rows

        return facts_on_rows(task, metric)
    return metric_facts(metric)

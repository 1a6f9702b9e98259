"""Setting a baseline: a run becomes a committed table, with a reason."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.core import usercode
from bench.core.errors import UsageError
from bench.core.files import user_path, write_atomically
from bench.gate.compare import side_of_run
from results import timings
from results.frames import column, pick
from results.gate import baselines
from results.gate.policy import Policy
from results.gate.reach import stuck
from results.gate.sides import refuse_gaps
from results.ranks import smallest_p
from results.runs import Run, open_run
from results.store import frame

FEW = 0.01
"""A smallest p-value above this leaves no room for several series."""


def set_baseline(
    run: str,
    reason: str,
    out: str | None,
    probe: bool,
    every: bool,
    warn: Callable[[str], None],
    trust: bool = False,
) -> Path:
    """Write the baseline of a run, which is a folder or a suite's name; where it stands. What its
    cells took goes into the file of costs beside it. probe:
    whether to measure again what says it is deterministic. every: keep all metrics, not only those
    that the suite shows. trust: whether code that the run names is imported to measure it again.
    Raises UsageError for a run with gaps, a blank reason, or a name that is
    no .csv.
    """
    if not reason.strip():
        raise UsageError("`reason`: say why the baseline changes; it is kept in the file")
    found = open_run(run)
    target = user_path(out) if out else _usual(found.manifest)
    if target.suffix != ".csv":
        raise UsageError(f"`out`: expected a name that ends in .csv, got '{out}'")
    side = side_of_run(found)
    refuse_gaps(side, "a baseline has no gaps")
    if probe:
        with usercode.only_asked(f"the run {run}", (), trust):
            side.rows["probed"] = _probed(side.rows, found)
    _warn(side.rows, found.manifest, warn)
    table = frame(found.records.values())
    if not every:
        blocks = found.manifest["blocks"]
        shown = {name for block in blocks for name in (*block["metrics"], *block["primary"])}
        table = pick(table, [metric in {*shown, ""} for metric in column(table, "metric")])
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    table = baselines.make(side, table, reason.strip(), date)
    write_atomically(target, table.to_csv(index=False).encode())
    timings.keep(target.parent, timings.timings_of(found.records.values()))
    return target


def _usual(manifest: dict[str, Any]) -> Path:
    return baselines.HERE / f"{manifest['suite']}-{manifest['tier']}.csv"


def _probed(rows: pd.DataFrame, run: Run) -> np.ndarray:
    """Which rows a same-seed probe found to be deterministic; only those that say so are asked."""
    claimed = (column(rows, "kind") == "deterministic") & (column(rows, "direction") != "none")
    metrics = set(column(pick(rows, claimed), "metric"))
    if not metrics:
        return np.zeros(len(rows), bool)
    from bench.gate.probe import reproducible

    usercode.add([Path.cwd()], run.manifest.get("imports", []))
    same = reproducible(run, metrics)
    keys = zip(column(rows, "cell_id"), column(rows, "metric"), strict=True)
    return np.array([key in same for key in keys]) & claimed


def _warn(rows: pd.DataFrame, manifest: dict[str, Any], warn: Callable[[str], None]) -> None:
    seeds = len(set(column(rows, "seed")))
    deciding = len(set(column(pick(rows, column(rows, "primary").astype(bool)), "id")))
    if text := stuck(rows, Policy()):
        warn(text)
    least = smallest_p(seeds, max(1, seeds // 2))
    if not deciding:
        warn("the suite names no primary metric: a policy must, or nothing decides")
    elif least > FEW:
        warn(
            f"{seeds} seeds are few: against {max(1, seeds // 2)} new ones the smallest p is "
            f"{least:.2g}; about twice as many as a run has are better"
        )
    if manifest["environment"]["dirty"]:
        warn("the code had changes that are not committed: the commit on the rows is not all of it")

"""The same-seed probe: is a metric that says it is deterministic the same when measured again?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.files import cache_folder
from bench.run.runner import Context, run_cell
from bench.suites.cell import cell_of
from results.provenance import source
from results.runs import Run
from results.store import RunDirectory


def reproducible(run: Run, metrics: set[str]) -> set[tuple[str, str]]:
    """Cell and metric, of those asked, whose value came out the same to the last bit when the
    first seed was measured again.
    """
    seen: set[str] = set()
    same: set[tuple[str, str]] = set()
    with tempfile.TemporaryDirectory() as folder:
        for row in run.manifest["cells"]:
            known = run.records.get(row["key"])
            if row["cell_id"] in seen or known is None or not metrics & _measured(known):
                continue
            seen.add(row["cell_id"])
            again = _measure(run.manifest, row, Path(folder))
            values = {_place(value): value["value"] for value in again["values"]}
            for metric in metrics & _measured(known):
                pairs = [
                    (value["value"], values.get(_place(value)))
                    for value in known["values"]
                    if value["metric"] == metric
                ]
                if all(old == new for old, new in pairs):
                    same.add((row["cell_id"], metric))
    return same


def _measured(record: Mapping[str, Any]) -> set[str]:
    return {value["metric"] for value in record["values"]}


def _place(value: Mapping[str, Any]) -> tuple[Any, ...]:
    return value["metric"], value["epsilon"], value["step"], value["final"]


def _measure(manifest: Mapping[str, Any], row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    context = Context(
        run=folder,
        cache=cache_folder().resolve(),
        suite=manifest["suite"],
        tier=manifest["tier"],
        device=manifest["device"],
        **source(),
    )
    cell = cell_of(manifest, row)
    run_cell(cell, context)
    return RunDirectory(folder).read_cell(cell.key) or {"values": []}

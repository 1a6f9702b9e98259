"""Parts of a run that were measured apart, put together: every cell once, or nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.core.arguments import checked
from bench.core.errors import UsageError, one_line
from bench.core.files import user_path
from bench.run.run import drawn, written
from results.rows import FINAL, VARYING
from results.runs import Run, open_run
from results.store import RunDirectory

SHOWN = 3
"""Cells that a message names."""
OWN = ("environment", "measured", "shard")
"""What manifests of parts of one run may differ in."""


@checked("warn")
def merge(run: str, *more: str, out: str, warn: Callable[[str], None] = lambda text: None) -> Run:
    """A run of all cells that some parts of it have, in a new folder; the parts stay as they are.

    run, more: folders of parts (`execute` with `shard`), or of whole runs of one plan. out: a new
    or empty folder, or one that was merged of the same plan before. warn: is told of parts that are
    missing. Raises UsageError for parts of another suite, plan or commit, and for a cell that two
    of them measured to different values: then nothing is written.
    """
    parts = [open_run(name) for name in (run, *more)]
    first = parts[0]
    for part in parts[1:]:
        _refuse_other(first, part)
    directory = RunDirectory(user_path(out))
    if any(directory.path.resolve() == part.directory.path.resolve() for part in parts):
        raise UsageError(f"`out` {out} is one of the parts: expected a new folder")
    _refuse_taken(directory, first)
    chosen = _chosen(parts)
    _tell_missing(parts, warn)
    directory.claim(first.manifest["suite"], first.manifest["tier"])
    with directory.lock():
        for part, record in chosen.values():
            directory.write_cell(record, part.directory.samples(record["key"]))
        manifest = {k: v for k, v in first.manifest.items() if k not in ("measured", "shard")}
        directory.write_manifest(manifest)
        keys = dict.fromkeys(cell["key"] for cell in manifest["cells"])
        found, _ = directory.read_cells(keys)
        made, _ = written(directory, keys, found)
        drawn(made, warn)
    return made


def _refuse_other(first: Run, other: Run) -> None:
    """Raise UsageError for runs that were not planned as one."""
    for what in ("suite", "tier", "seeds"):
        one, two = (run.manifest.get(what) for run in (first, other))
        if one != two:
            raise UsageError(_unlike(first, other, what, one, two))
    one, two = (run.manifest.get("environment", {}).get("commit") for run in (first, other))
    if one != two:
        raise UsageError(_unlike(first, other, "commit", one, two))
    if _plan(first) != _plan(other):
        raise UsageError(
            f"{other.name} is no part of the run that {first.name} is of: their plans differ "
            "(other grid, settings, data or code): give every part the same command but for `shard`"
        )


def _unlike(first: Run, other: Run, what: str, one: object, two: object) -> str:
    return one_line(
        f"{other.name} is no part of the run that {first.name} is of: its {what} is {two}, "
        f"expected {one}"
    )


def _plan(run: Run) -> str:
    """All that decides what a run measures and shows."""
    return json.dumps({k: v for k, v in run.manifest.items() if k not in OWN}, sort_keys=True)


def _refuse_taken(directory: RunDirectory, first: Run) -> None:
    if directory.exists() and _plan(Run(directory, directory.manifest(), {})) != _plan(first):
        raise UsageError(f"{directory.path} holds another run: choose another `out`")


def _chosen(parts: Sequence[Run]) -> dict[str, tuple[Run, dict[str, Any]]]:
    """Each finished cell once: of several records one that is final. Raises UsageError where two
    final ones differ in what may not vary.
    """
    found: dict[str, tuple[Run, dict[str, Any]]] = {}
    conflicts: list[str] = []
    for part, key, record in _records(parts):
        if key not in found:
            found[key] = part, record
            continue
        before = found[key][1]
        if before["status"] not in FINAL:
            found[key] = part, record
        elif record["status"] in FINAL and _steady(record) != _steady(before):
            conflicts.append(f"{record['cell_id']} seed {record['seed']} in {part.name}")
    if conflicts:
        named = "; ".join(conflicts[:SHOWN]) + ("; ..." if len(conflicts) > SHOWN else "")
        raise UsageError(
            one_line(
                f"{len(conflicts)} cells were measured twice, to different values ({named}): leave "
                "one of the runs out"
            )
        )
    return found


def _records(parts: Sequence[Run]) -> Iterator[tuple[Run, str, dict[str, Any]]]:
    for part in parts:
        for key, record in part.records.items():
            yield part, key, record


def _steady(record: Mapping[str, Any]) -> str:
    """What of a record does not depend on when and where it was measured."""
    kept = {k: v for k, v in record.items() if k not in (*VARYING, "warnings", "versions")}
    return json.dumps(kept, sort_keys=True)


def _tell_missing(parts: Sequence[Run], warn: Callable[[str], None]) -> None:
    told = [str(part.manifest["shard"]) for part in parts if part.manifest.get("shard")]
    counts = {text.partition("/")[2] for text in told}
    if len(counts) == 1 and len(told) == len(parts):
        of = int(counts.pop())
        missing = [f"{at}/{of}" for at in range(1, of + 1) if f"{at}/{of}" not in told]
        if missing:
            named = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
            warn(f"{len(missing)} of {of} parts are missing ({named}): their cells are left")

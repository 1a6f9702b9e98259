"""bench sample --film: how models of a run came to draw what they draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.core import usercode
from bench.core.arguments import Pairs, checked, pairs_of
from bench.core.errors import UsageError
from bench.core.files import cache_folder, user_path, write_atomically
from bench.models.generators import film_of
from bench.models.store import ArtifactStore
from bench.sample.trained import Which, find_cell, full_name, task_of
from bench.suites.cell import Cell
from bench.tasks.generation.experiment import GenerationTask
from results.pictures.films import WRITERS, Take
from results.pictures.films import film as film_in
from results.runs import find_run, refusing_damage


@checked()
def film(
    run: str,
    model: str | Sequence[str],
    out: str,
    *,
    dataset: str | None = None,
    block: str | None = None,
    seed: int | None = None,
    only: Pairs[str] = (),
    trust: bool = False,
) -> Path:
    """Trainings of a run as an endless film of the same noise, several models side by side, written
    to `out` (.webp, .gif, .mp4). Points lie over the true modes, behind them what the critic takes
    for real; images are a sheet. Returns where.

    The run has to be one whose settings have `film`, the number of frames. Raises UsageError where
    it has none, and as `sample` does.
    """
    path = user_path(out)
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"expected a name that ends in one of {', '.join(WRITERS)}, got '{out}'")
    names = [model] if isinstance(model, str) else [*model]
    if not names:
        raise UsageError("`model`: which one?")
    manifest, which = find_run(run).manifest(), Which(dataset, block, seed, pairs_of(only))
    with usercode.only_asked(f"the run {run}", (*names, dataset), trust):
        takes = [_take(run, manifest, name, which) for name in names]
    write_atomically(path, film_in(takes, path.suffix.lower()))
    return path


def _take(run: str, manifest: dict[str, Any], row: str, which: Which) -> Take:
    """Of a model, or of a row as tables call it: `nsgan / critic_lr=0.001`."""
    name, *told = row.split(" / ")
    model = full_name(manifest, name)
    values = tuple((key, value) for key, _, value in (one.partition("=") for one in told))
    with refusing_damage(run):
        usercode.add([Path.cwd()], manifest.get("imports", []))
        cell = find_cell(manifest, model, replace(which, only=(*which.only, *values)))
        facts = manifest["parts"].get("dataset", {}).get(cell.part("dataset"), {})
    found = _filmed(cell)
    centres = np.array(facts.get("centres", np.empty((0, 2))), dtype=float)
    flat = centres.ndim == 2 and centres.shape[1] == 2
    return Take(
        f"{row}, seed {cell.seed}",
        [int(step) for step in found["steps"]],
        found["frames"],
        found["fields"],
        float(found["reach"]),
        centres if flat else np.empty((0, 2)),
        np.array(facts.get("widths", ()), dtype=float)[: len(centres)] if flat else np.empty(0),
        bool(facts.get("colour")),
    )


def _filmed(cell: Cell) -> dict[str, Any]:
    """The arrays of a cell's film. Raises UsageError where it has none, or none to be looked at."""
    task = task_of(cell)
    if not isinstance(task, GenerationTask) or not cell.settings.get("film"):
        raise UsageError(
            f"model '{cell.part('model')}' has no film in this run: `bench run` keeps one with "
            "--set film=60, for models that are trained in steps and draw images, or points in the "
            "plane"
        )
    work = task.experiment(cell, cell.device)
    made = film_of(work.order, work.source, ArtifactStore(cache_folder(), cell.device))
    arrays = made.arrays()
    if not len(made.steps):
        raise UsageError(f"model '{cell.part('model')}' diverged before its film began")
    return {**arrays, "reach": made.reach}

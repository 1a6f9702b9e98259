"""Samples of a run's trained models, found by the names on its table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save

from bench.core.errors import UsageError, unknown
from bench.core.files import user_path
from bench.core.threads import with_threads
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell, cell_of
from bench.tasks import TASKS, Bench, SamplingTask


def find_cell(
    manifest: Mapping[str, Any],
    model: str,
    seed: int | None,
    dataset: str | None,
    block: str | None = None,
) -> Cell:
    """The cell of a run that trained a model; its first seed where none is given.

    Raises UsageError where there is none, or where several data sets or blocks have it.
    """
    found = _rows_of(manifest, model, dataset, block)
    seeds = list(dict.fromkeys(cell["seed"] for cell in found))
    if seed is not None and seed not in seeds:
        raise UsageError(
            f"seed {seed} of model '{model}' is not in this run: it has "
            f"{', '.join(str(known) for known in seeds)}"
        )
    found = [cell for cell in found if cell["seed"] == (seeds[0] if seed is None else seed)]
    candidates = [cell_of(manifest, cell) for cell in found]
    if len({cell.key for cell in candidates}) > 1 and len(set(map(_trained, candidates))) > 1:
        blocks = ", ".join(dict.fromkeys(cell.block for cell in candidates))
        raise UsageError(
            f"model '{model}' was trained with several settings, in the blocks {blocks}: say which "
            "by `block`"
        )
    sampled = (cell for cell in candidates if isinstance(TASKS[cell.task].part, SamplingTask))
    return next(sampled, candidates[0])


def full_name(manifest: Mapping[str, Any], model: str) -> str:
    """A model by its name, or by what the tables of a run call it."""
    short = {
        cell["named"]["model"]: cell["parts"]["model"]
        for cell in manifest["cells"]
        if "model" in cell.get("named", {})
    }
    return short.get(model, model)


def _rows_of(
    manifest: Mapping[str, Any], model: str, dataset: str | None, block: str | None
) -> list[dict[str, Any]]:
    """The cells of one model on one data set, with every seed."""
    cells = [cell for cell in manifest["cells"] if block in (None, cell["block"])]
    if not cells:
        raise unknown("block", str(block), {cell["block"] for cell in manifest["cells"]})
    names = {cell["parts"].get("model", "") for cell in cells} - {""}
    if model not in names:
        raise unknown("model", model, names, "(in this run)")
    found = [cell for cell in cells if cell["parts"].get("model") == model]
    datasets = list(dict.fromkeys(cell["parts"].get("dataset", "") for cell in found))
    if dataset is None and len(datasets) > 1:
        raise UsageError(
            f"model '{model}' was trained on {', '.join(datasets)}: say which by `dataset`"
        )
    if dataset is not None and dataset not in datasets:
        raise unknown("dataset", dataset, datasets, f"(model '{model}' of this run)")
    return [cell for cell in found if dataset in (None, cell["parts"].get("dataset"))]


def _trained(cell: Cell) -> tuple[str, str] | None:
    """What a cell rests on: other tasks may look at the same trained model."""
    return TASKS[cell.task].part.artifact(cell)


def draw(cell: Cell, n: int, store: ArtifactStore) -> np.ndarray:
    """`n` samples of a cell's trained model: points [n, d], or images uint8 [n, c, h, w]."""
    task = task_of(cell)
    with with_threads():
        return task.sample(cell, n, Bench(store, cell.device))


def task_of(cell: Cell) -> SamplingTask:
    """The task of a cell. Raises UsageError where it trained nothing that draws samples."""
    if cell.skip:
        raise UsageError(f"model '{cell.part('model')}' was skipped: {cell.skip}")
    task = TASKS[cell.task].part
    if not isinstance(task, SamplingTask):
        raise UsageError(f"task '{cell.task}' trains nothing that draws samples")
    return task


def weights_of(cell: Cell, store: ArtifactStore) -> bytes:
    """A cell's trained model as safetensors, with what it is in the file's metadata."""
    with with_threads():
        tensors = task_of(cell).fitted(cell, Bench(store, cell.device)).tensors()
    about = {"cell": cell.cell_id, "seed": str(cell.seed), "settings": json.dumps(cell.settings)}
    about |= {"model": cell.part("model")}
    return save({name: value.cpu().contiguous() for name, value in tensors.items()}, about)


def with_weights(store: ArtifactStore, path: str) -> ArtifactStore:
    """A store whose models have the weights of a file. Raises UsageError where it is none."""
    file = user_path(path)
    try:
        tensors = load(file.read_bytes())
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged, or none"
        raise UsageError(f"can't read {path}: {reason}: expected a safetensors file") from error
    placed = {name: value.to(store.device) for name, value in tensors.items()}
    return replace(store, given={"fitted": placed})

"""Samples of a run's trained models, found by the names on its table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save

from bench.core.errors import UsageError, unknown
from bench.core.files import user_path
from bench.core.threads import with_threads
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell, cell_of
from bench.suites.grid import matches
from bench.tasks import TASKS, Bench, SamplingTask

OPTIONS = ("dataset", "block", "seed", "model")
"""What is said by parameters of its own."""


@dataclass(frozen=True)
class Which:
    """Which of the trainings of a model in a run. only: settings and values, patterns too."""

    dataset: str | None = None
    block: str | None = None
    seed: int | None = None
    only: tuple[tuple[str, str], ...] = ()


def find_cell(manifest: Mapping[str, Any], model: str, which: Which) -> Cell:
    """The cell of a run that trained a model; its first seed where none is given.

    Raises UsageError where there is none, or where several data sets, blocks or settings have it.
    """
    found = _at(_rows_of(manifest, model, which.dataset, which.block), model, which.only)
    seeds = list(dict.fromkeys(cell["seed"] for cell in found))
    if which.seed is not None and which.seed not in seeds:
        raise UsageError(
            f"seed {which.seed} of model '{model}' is not in this run: it has "
            f"{', '.join(str(known) for known in seeds)}"
        )
    seed = seeds[0] if which.seed is None else which.seed
    candidates = [cell_of(manifest, cell) for cell in found if cell["seed"] == seed]
    if len({cell.key for cell in candidates}) > 1 and len(set(map(_trained, candidates))) > 1:
        raise UsageError(f"model '{model}' was trained with several settings{_choice(candidates)}")
    sampled = (cell for cell in candidates if isinstance(TASKS[cell.task].part, SamplingTask))
    return next(sampled, candidates[0])


def _at(
    cells: list[dict[str, Any]], model: str, only: tuple[tuple[str, str], ...]
) -> list[dict[str, Any]]:
    """Those whose settings have the values. Raises UsageError where none has."""
    for name, pattern in only:
        if name in OPTIONS:
            raise UsageError(f"`only` is for settings: say the {name} by `{name}`, as {pattern}")
        values = {str(cell["settings"][name]) for cell in cells if name in cell["settings"]}
        if not values:
            known = {setting for cell in cells for setting in cell["settings"]}
            raise unknown("setting", name, known, f"(model '{model}' of this run)")
        having = [cell for cell in cells if name in cell["settings"]]
        cells = [cell for cell in having if matches(cell["settings"][name], pattern)]
        if not cells:
            raise unknown(name, pattern, values, f"(model '{model}' of this run)")
    return cells


def _choice(candidates: Sequence[Cell]) -> str:
    """What tells the trainings of a model apart, and the options that say which."""
    names = [name for cell in candidates for name in cell.settings]
    told = []
    for name in dict.fromkeys(names):
        values = list(dict.fromkeys(str(cell.settings.get(name, "none")) for cell in candidates))
        if len(values) > 1:
            told.append(f"{name} {', '.join(values)}")
    blocks = list(dict.fromkeys(cell.block for cell in candidates))
    by_block = f", in the blocks {', '.join(blocks)}: say which by `block`"
    by_value = f" ({'; '.join(told)}): say which by `only`, a setting and its value"
    if len(blocks) == len(candidates):
        return by_block
    return by_value + (" and by `block`" if len(blocks) > 1 else "")


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

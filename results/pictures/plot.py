"""bench plot: one picture of a run, of the models and metrics that are asked for, as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.core.arguments import checked
from bench.core.errors import UsageError, unknown
from bench.core.files import user_path, write_atomically
from results.along import full_names
from results.chosen import fits
from results.frames import among, column, pick
from results.pictures.figures import FORMATS, as_file
from results.pictures.intervals import draw_intervals
from results.pictures.run import pictures_of
from results.runs import Run, open_run, refusing_damage
from results.summary import COMPETING, label_of

INTERVALS = "intervals"
WIDEST = 40.0
DPI = 150


@checked()
def plot(
    run: str,
    out: str,
    *,
    picture: str = INTERVALS,
    metrics: Sequence[str] = (),
    models: Sequence[str] = (),
    block: str = "",
    dataset: str = "",
    width: float = 0.0,
) -> Path:
    """Draw one picture of a run to a file, .png, .pdf or .svg; its path.

    picture: intervals, or the kind of one of the pictures that a run draws (curves, radii, samples,
    way, ...). metrics: those to show, the table's if none. models: patterns of rows. block,
    dataset: which table, where there are several. width: of the whole in inches; 0: as it needs.
    Raises UsageError for what the run has not, StoreError where the file can't be written.
    """
    path = user_path(out)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"`out`: expected a name that ends in {', '.join(FORMATS)}, got '{out}'")
    if not 0 <= width <= WIDEST:
        raise UsageError(f"`width`: expected inches, 0 to {WIDEST:g}, got {width:g}")
    found = open_run(run)
    with refusing_damage(run):
        values = (value for record in found.records.values() for value in record["values"])
        metrics = full_names((value["metric"] for value in values), metrics)
        narrowed = _narrowed(found, metrics, models)
        if picture == INTERVALS:
            figure = _intervals(narrowed, metrics, block, dataset, width)
        else:
            figure = _drawn(narrowed, picture, block, dataset)
    if width and picture != INTERVALS:
        _resize(figure, width)
    write_atomically(path, as_file(figure, path.suffix.lower(), DPI))
    return path


def _resize(figure: Any, width: float) -> None:
    """Make a figure so wide, its letters with it."""
    from matplotlib.text import Text

    old, height = figure.get_size_inches()
    figure.set_size_inches(width, height * width / old)
    for text in figure.findobj(Text):
        text.set_fontsize(text.get_fontsize() * width / old)


def _narrowed(run: Run, metrics: Sequence[str], models: Sequence[str]) -> Run:
    """A run as if it had no other models and metrics. Raises UsageError for a model it has not."""
    labels = {label_of(cell) for cell in run.manifest["cells"]}
    for pattern in models:
        if not any(fits(label, pattern) for label in labels):
            raise unknown("model", pattern, labels)
    cells = [
        cell
        for cell in run.manifest["cells"]
        if not models or any(fits(label_of(cell), pattern) for pattern in models)
    ]
    records = run.records
    if metrics:
        records = {
            key: {**record, "values": [v for v in record["values"] if v["metric"] in metrics]}
            for key, record in run.records.items()
        }
    return replace(run, manifest={**run.manifest, "cells": cells}, records=records)


def _intervals(run: Run, metrics: Sequence[str], block: str, dataset: str, width: float) -> Any:
    manifest = run.manifest
    if metrics:
        blocks = [{**each, "metrics": [*metrics]} for each in manifest["blocks"]]
        facts = {**manifest.get("measured", {}), **manifest["metrics"]}
        manifest = {**manifest, "blocks": blocks, "metrics": facts}
    summary = replace(run, manifest=manifest).summary()
    summary = pick(summary, column(summary, "value") == column(summary, "value"))
    pairs = list(dict.fromkeys(zip(summary["block"], summary["dataset"], strict=True)))
    name, data = _one(pairs, block, dataset)
    part = pick(
        summary,
        (column(summary, "block") == name)
        & (column(summary, "dataset") == data)
        & np.asarray(pd.isna(summary["epsilon"]), bool),
    )
    facts = manifest["metrics"]
    shown = [
        metric
        for metric in metrics or dict.fromkeys(part["metric"])
        if _ours(part, metric, bool(metrics) or facts[metric].get("direction") != "none")
    ]
    if not shown:
        raise UsageError(
            f"no value of block {name} on {data} stands without a radius: `--picture radii` draws "
            "those that do"
        )
    return draw_intervals(part, shown, facts, width)


def _ours(part: pd.DataFrame, metric: str, told: bool) -> bool:
    """Whether a metric is shown: a model has it, and it says who is better or was asked for."""
    here = pick(part, column(part, "metric") == metric)
    return told and bool(among(column(here, "role"), COMPETING).any())


def _drawn(run: Run, kind: str, block: str, dataset: str) -> Any:
    """A picture of a kind. Raises UsageError where there is none, or more than one."""
    known = list(pictures_of(run))
    fitting = [one for one in known if kind in (one.kind, one.name)]
    if not fitting:
        raise unknown("picture", kind, dict.fromkeys([INTERVALS, *(one.kind for one in known)]))
    figures = {
        (one.block, one.dataset): figure
        for one in fitting
        if (not block or one.block == block) and (not dataset or one.dataset == dataset)
        if (figure := one.make()) is not None
    }
    if not figures:
        raise UsageError(
            f"`picture`: what is asked for of this run has nothing for '{kind}'; "
            f"`--picture {INTERVALS}` draws any"
        )
    return figures[_one(list(figures), block, dataset)]


def _one(pairs: Sequence[tuple[str, str]], block: str, dataset: str) -> tuple[str, str]:
    """The one block and data set that are meant. Raises UsageError where they are not one."""
    fitting = [
        pair
        for pair in dict.fromkeys(pairs)
        if (not block or pair[0] == block) and (not dataset or pair[1] == dataset)
    ]
    if len(fitting) == 1:
        return fitting[0]
    there = "; ".join(f"--block {name} --dataset {data}" for name, data in dict.fromkeys(pairs))
    wanted = f"block '{block}', data set '{dataset}'" if block or dataset else "a block"
    raise UsageError(f"expected {wanted} to be one table, got {len(fitting)}: there are {there}")

"""Pictures of what pyramids code, blend and hold: rate against distortion, seams, levels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from results.pictures.figures import new_figure
from results.pictures.sheets import coloured, tiled
from results.runs import Run
from results.summary import label_of

RATE, DISTORTION = "bits_per_pixel", "coded_psnr"
STEPS = ("step", "quality")
"""The settings along which a code goes from coarse to fine; one line for all of their values."""
KEPT, LEVEL = "blended", "level"
LARGE = 224
"""Pixels that the bands of a level are enlarged to."""
STYLES = {"laplacian-open": "--", "laplacian-closed": "-"}
COLOURS = {0.3: "#4c78a8", 0.4: "#1f4e79", 0.5: "#e39c37", 0.6: "#c1272d"}


def rate_figures(run: Run) -> Iterator[tuple[str, Any]]:
    """Names and figures: of each data set whose images were coded, all blocks together."""
    cells = run.manifest["cells"]
    for dataset in dict.fromkeys(cell["parts"].get("dataset", "") for cell in cells):
        here = [cell for cell in cells if cell["parts"].get("dataset", "") == dataset]
        figure = draw_rates(run, dataset, here)
        if figure is not None:
            yield re.sub(r"[^A-Za-z0-9._-]", "_", f"rates-{dataset}"), figure


def draw_rates(run: Run, dataset: str, cells: Sequence[Any]) -> Any:
    """Distortion over rate, means over the seeds: a line for each code and kernel, along its steps.
    None where no line has two points.
    """
    lines: dict[str, dict[Any, list[tuple[float, float]]]] = {}
    models: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        found = run.records.get(cell["key"], {"values": []})["values"]
        values = {value["metric"]: value["value"] for value in found}
        if {RATE, DISTORTION} <= values.keys():
            name, place = _line_of(cell)
            models[name] = cell
            points = lines.setdefault(name, {}).setdefault(place, [])
            points.append((values[RATE], values[DISTORTION]))
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    figure, (axis,) = new_figure(1, 1, 4.4, 6.6)
    for name, points in lines.items():
        at = sorted(tuple(np.mean(group, axis=0)) for group in points.values())
        axis.plot(
            *zip(*at, strict=True), marker="o", ms=3, lw=1.2, label=name, **_style(models[name])
        )
    axis.set(xlabel="bits a pixel (entropies; of JPEG the files)", ylabel="PSNR (dB)")
    axis.grid(alpha=0.3, lw=0.5)
    axis.legend(fontsize=6.5, frameon=False)
    axis.set_title(f"{dataset}: what bits buy", fontsize=9)
    return figure


def _line_of(cell: Mapping[str, Any]) -> tuple[str, Any]:
    """The line that a cell is a point of, and its place on it."""
    swept = {**cell.get("swept", {})}
    place = tuple(swept.pop(name, None) for name in STEPS)
    told = [cell["parts"]["model"], *(f"{name} = {value}" for name, value in swept.items())]
    return ", ".join(told), place


def _style(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A colour for each kernel, dashes for an open loop."""
    model, a = cell["parts"]["model"], cell["settings"].get("a")
    known = {"color": COLOURS[a]} if a in COLOURS else {}
    if a is None:
        known = {"color": "#333333" if model == "jpeg" else "#7a7a7a"}
    return {**known, "ls": STYLES.get(model, "-.")}


def draw_seams(dataset: str, panels: Sequence[tuple[Any, Any, Mapping[str, np.ndarray]]]) -> Any:
    """A row of joined images for each blend, the same images below one another."""
    kept = [(cell, arrays[KEPT]) for cell, _, arrays in panels if KEPT in arrays]
    if not kept:
        return None
    count, _, height, width = kept[0][1].shape
    figure, axes = new_figure(len(kept), 1, 1.9 * height / width, 1.9 * count)
    for axis, (cell, images) in zip(axes, kept, strict=True):
        axis.imshow(coloured(images, len(images), colour=True), interpolation="nearest")
        axis.set_title(label_of(cell), fontsize=8)
        axis.set_axis_off()
    figure.suptitle(f"{dataset}: left half of one image, right half of the next", fontsize=9)
    return figure


def draw_levels(dataset: str, panels: Sequence[tuple[Any, Any, Mapping[str, np.ndarray]]]) -> Any:
    """A row for each pyramid of one image, a column for each level, all brought to one size: grey
    is 0, white three standard deviations of the level.
    """
    rows = []
    for cell, _, arrays in panels:
        names = sorted(name for name in arrays if name.startswith(LEVEL))
        if names:
            rows.append((cell, [arrays[name] for name in names]))
    if not rows:
        return None
    columns = max(len(levels) for _, levels in rows)
    figure, axes = new_figure(len(rows), columns, 1.9, 1.75)
    for axis in axes:
        axis.set_axis_off()
    for row, (cell, levels) in enumerate(rows):
        for at, bands in enumerate(levels):
            across = int(np.ceil(np.sqrt(len(bands))))
            axis = axes[row * columns + at]
            factor = max(1, LARGE // (across * bands.shape[2]))
            large = bands.repeat(factor, axis=2).repeat(factor, axis=3)
            axis.imshow(tiled(large, across), cmap="gray", vmin=0, vmax=255)
            size = f"{bands.shape[2]} x {bands.shape[3]}"
            axis.set_title(f"{label_of(cell)}\n{size}" if at == 0 else size, fontsize=7)
    figure.suptitle(f"{dataset}: the bands of one image", fontsize=9)
    return figure

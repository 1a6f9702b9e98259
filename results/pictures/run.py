"""Pictures of a run: sheets of samples, curves over the steps, and how often digits were drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from bench.core.files import write_atomically
from results.pictures.along import along_figures
from results.pictures.brackets import draw_brackets
from results.pictures.figures import as_png, draw_range, new_figure, new_panels
from results.pictures.pyramids import draw_levels, draw_seams, rate_figures
from results.pictures.radii import draw_radii
from results.pictures.sheets import beside, draw_digits, draw_sheet
from results.pictures.tops import draw_tops
from results.pictures.ways import MOST_MODES, draw_way
from results.runs import Run
from results.summary import label_of
from results.tables import number
from results.traces import title_of, traced

PANEL_INCHES = 2.3
COLUMNS, CURVES = 4, 5
POINTS, TRACED = 2_000, 200
WIDE = 36
"""Letters that a panel's title has room for."""
DPI = 110


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that a run can have. name: of its file; kind: what it shows, such as curves; make:
    draws it, or gives None where the run has nothing for it.
    """

    name: str
    block: str
    dataset: str
    kind: str
    make: Callable[[], Any]


def draw(run: Run) -> list[Path]:
    """Draw every picture of a run; the files that were written."""
    written = []
    for picture in pictures_of(run):
        figure = picture.make()
        if figure is not None:
            written.append(_write(run, picture.name, figure))
    return written


def pictures_of(run: Run) -> Iterator[Picture]:
    """Every picture that a run may have.

    For each block and data set: losses, gradients and logits of single steps, curves over the
    steps and over radii where there are any, the two bounds of a bracket; the modes that trainings
    had on the way; samples where the true modes are known or examples are images; for those, the
    digits that were read, and what the same noise or input gave in the course of the training, a
    row for each look; of translations, input, output and truth side by side; of units and
    directions the images that excite them most; what codes cost and lose, what blends join, the
    bands of pyramids. Where the grid varies a setting that is a number, or two, curves or maps
    along them.
    """
    known = run.manifest.get("parts", {}).get("dataset", {})
    for block in run.manifest["blocks"]:
        for dataset, facts in known.items():
            cells = [
                cell
                for cell in run.manifest["cells"]
                if cell["block"] == block["name"] and cell["parts"].get("dataset") == dataset
            ]
            if cells:
                name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{block['name']}-{dataset}")
                made = _of_block(run, block, dataset, facts, cells)
                for kind, make in made.items():
                    yield Picture(f"{name}-{kind}", block["name"], dataset, kind, make)
    for name, figure in (*rate_figures(run), *along_figures(run)):
        yield Picture(name, "", "", "along", partial(_as_it_is, figure))


def _as_it_is(figure: Any) -> Any:
    return figure


def _of_block(
    run: Run, block: dict[str, Any], dataset: str, facts: dict[str, Any], cells: list[Any]
) -> dict[str, Callable[[], Any]]:
    """What draws each kind of picture of a data set in a block."""
    arrays = list(_arrays(run, cells))
    found = {
        "curves": partial(_curves, run, dataset, cells),
        "losses": partial(_losses, run, dataset, cells),
        "radii": partial(draw_radii, run, block, dataset, cells),
        "brackets": partial(draw_brackets, run, dataset, cells),
        "way": partial(_ways, dataset, arrays),
        "tops": partial(_tops, dataset, facts, arrays),
        "seams": partial(draw_seams, dataset, arrays),
        "levels": partial(draw_levels, dataset, arrays),
    }
    if "centres" in facts:
        found["samples"] = partial(_sheet, run, dataset, facts, cells)
    elif facts.get("images"):
        found |= _of_images(dataset, facts, arrays)
    elif facts.get("duel"):
        found["orbits"] = partial(_orbits, dataset, arrays)
    return found


def _write(run: Run, name: str, figure: Any) -> Path:
    path = run.directory.path / "pictures" / f"{name}.png"
    write_atomically(path, as_png(figure, DPI))
    return path


def _of_images(
    dataset: str, facts: dict[str, Any], arrays: list[Panel]
) -> dict[str, Callable[[], Any]]:
    """Samples of every model, what a judge reads in them, and how they came about."""
    colour = bool(facts.get("colour"))
    sheet = partial(draw_sheet, colour=colour)
    if any("inputs" in kept for _, _, kept in arrays):
        made = [
            (cell, record, {**kept, "samples": beside(*_triple(kept))})
            for cell, record, kept in arrays
            if {"inputs", "samples"} <= kept.keys()
        ]
        triples = partial(draw_sheet, colour=True, columns=12)
        found = {"samples": partial(_panels, dataset, made, "samples", triples, 4.6, 1.9)}
        drawing = [panel for panel in arrays if "inputs" not in panel[2]]
        found["drawn"] = partial(_panels, dataset, drawing, "samples", sheet, 4.6, 1.6)
    elif any("originals" in kept for _, _, kept in arrays):
        made = [
            (cell, record, {"samples": np.concatenate([kept["originals"], kept["samples"]])})
            for cell, record, kept in arrays
            if {"originals", "samples"} <= kept.keys()
        ]
        columns = max((len(kept["samples"]) // 2 for _, _, kept in made), default=1)
        above = partial(draw_sheet, colour=colour, columns=columns)
        found = {"samples": partial(_panels, dataset, made, "samples", above, 4.6, 0.9)}
    else:
        found = {
            "samples": partial(_panels, dataset, arrays, "samples", sheet, 4.6, 1.6),
            "digits": partial(_panels, dataset, arrays, "digits", draw_digits, 3.2, 1.7),
        }

    def grow(axis: Any, looks: np.ndarray) -> None:
        draw_sheet(axis, looks.reshape(-1, *looks.shape[2:]), colour, columns=looks.shape[1])

    return {**found, "training": partial(_panels, dataset, arrays, "training", grow, 4.6, 1.6)}


def _orbits(dataset: str, panels: list[Panel]) -> Any:
    """A phase portrait per cell: the critic's number and the generator's, as played and in closed
    form, from the ring on.
    """
    panels = [panel for panel in panels if "orbit" in panel[2]]
    if not panels:
        return None
    columns = min(5, len(panels))
    figure, axes = new_panels(len(panels), columns, PANEL_INCHES, PANEL_INCHES)
    for axis, (cell, record, kept) in zip(axes, panels, strict=True):
        played, known = kept["orbit"], kept.get("closed_form", kept["orbit"])
        near = np.hypot(*played.T) <= 3 * np.hypot(*played[0])
        steps = len(played) if near.all() else int(near.argmin())
        axis.plot(*known[:steps].T, color="#1f4e79", linewidth=1.6, alpha=0.5)
        axis.plot(*played[:steps].T, color="#c1272d", linewidth=0.6)
        axis.plot(*played[0], "o", markersize=5, fillstyle="none", color="black")
        axis.axhline(0, color="#999999", linewidth=0.4)
        axis.axvline(0, color="#999999", linewidth=0.4)
        axis.set(xticks=[], yticks=[], aspect="equal")
        values = {value["metric"]: value["value"] for value in record["values"]}
        growth = f"x {values['growth']:.4f}, expected {values['growth_expected']:.4f}"
        axis.set_title(f"{label_of(cell)}\n{growth}", fontsize=6.5)
    figure.suptitle(f"{dataset}: played (red) on the closed form (blue), growth a step", fontsize=9)
    return figure


def _ways(dataset: str, panels: list[Panel]) -> Any:
    """Which modes a training had, look by look, a panel per cell."""
    panels = [
        p for p in panels if "way_shares" in p[2] and p[2]["way_shares"].shape[1] <= MOST_MODES
    ]
    if not panels:
        return None
    rows = 1.3 if panels[0][2]["way_shares"].shape[1] <= 10 else 2.2
    figure, axes = new_panels(len(panels), COLUMNS, rows + 0.5, PANEL_INCHES + 0.3)
    for axis, (cell, _, kept) in zip(axes, panels, strict=True):
        draw_way(axis, kept)
        axis.set_title(
            "\n".join(wrap(f"{label_of(cell)}, seed {cell['seed']}", WIDE)), fontsize=6.5
        )
    figure.suptitle(
        f"{dataset}: samples nearest to each mode (blue), covered by good ones (dot), over steps",
        fontsize=9,
    )
    return figure


def _tops(dataset: str, facts: dict[str, Any], panels: list[Panel]) -> Any:
    """What excites units and random directions most, a row per cell."""
    named = [(f"{label_of(cell)}, seed {cell['seed']}", kept) for cell, _, kept in panels]
    title = f"{dataset}: the images that excite each most, a row each"
    return draw_tops(title, named, bool(facts.get("colour")))


def _triple(kept: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    return kept["inputs"], kept["samples"], kept.get("truth")


def scatter_png(points: np.ndarray) -> bytes:
    """Points [n, d] as a picture of their first two coordinates."""
    figure, axes = new_figure(1, 1, 4.0, 4.0)
    columns = np.pad(points[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))
    axes[0].scatter(*columns.T, s=3, c="#c1272d", alpha=0.5, linewidths=0)
    axes[0].set(aspect="equal")
    return as_png(figure, DPI)


Panel = tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]


def _arrays(run: Run, cells: list[Any]) -> Iterator[Panel]:
    """The first finished cell of each row with what it keeps for pictures."""
    seen: set[str] = set()
    for cell in cells:
        record = run.records.get(cell["key"])
        if record is not None and record["status"] == "ok" and cell["cell_id"] not in seen:
            seen.add(cell["cell_id"])
            yield cell, record, run.directory.samples(cell["key"])


def _panels(
    dataset: str,
    panels: list[Panel],
    array: str,
    paint: Callable[[Any, np.ndarray], None],
    width: float,
    height: float,
) -> Any:
    """A panel per model, two beside one another, of one of the arrays it keeps."""
    panels = [panel for panel in panels if array in panel[2]]
    if not panels:
        return None
    figure, axes = new_panels(len(panels), 2, height, width)
    for axis, (cell, _, kept) in zip(axes, panels, strict=True):
        paint(axis, kept[array])
        axis.set_title(f"{label_of(cell)}, seed {cell['seed']}", fontsize=8)
    figure.suptitle(f"{dataset}: {array}", fontsize=9)
    return figure


def _sheet(run: Run, dataset: str, facts: dict[str, Any], cells: list[Any]) -> Any:
    """A panel per model: samples of the first seed, with a circle of 3 sigma at each true mode."""
    panels = {}
    for cell in cells:
        record = run.records.get(cell["key"])
        if record is not None and cell["cell_id"] not in panels:
            panels[cell["cell_id"]] = (cell, record)
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    figure, axes = new_panels(len(panels), columns, PANEL_INCHES, PANEL_INCHES)
    centres, widths = np.array(facts["centres"]), np.array(facts["widths"])
    reach = 1.25 * np.abs(centres).max() + 3 * widths.max()
    for axis, (cell, record) in zip(axes, panels.values(), strict=True):
        _rings(axis, centres, 3 * widths)
        samples = run.directory.samples(cell["key"]).get("samples", np.empty((0, 2)))[:POINTS]
        if samples.ndim == 2 and samples.shape[1] == 2:
            axis.scatter(*samples.T, s=1.2, c="#c1272d", alpha=0.45, linewidths=0, zorder=2)
        else:
            axis.text(0.5, 0.5, record["status"], transform=axis.transAxes, ha="center")
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
        axis.set_title(_title(cell, record), fontsize=8)
    figure.suptitle(f"{dataset}: samples of seed {next(iter(panels.values()))[0]['seed']}, "
                    "circles at 3 sigma of the true modes", fontsize=9)  # fmt: skip
    return figure


def _rings(axis: Any, centres: np.ndarray, radii: np.ndarray) -> None:
    from matplotlib.collections import EllipseCollection

    across, looks = 2 * radii, {"facecolors": "none", "edgecolors": "#1f4e79", "linewidths": 0.7}
    places = {"offsets": centres, "offset_transform": axis.transData, "units": "xy", "zorder": 3}
    axis.add_collection(EllipseCollection(across, across, 0 * across, **places, **looks))


def _title(cell: dict[str, Any], record: dict[str, Any]) -> str:
    values = {v["metric"]: v["value"] for v in record["values"] if v["final"]}
    name = label_of(cell)
    if "modes_covered" not in values:
        return name
    found = f"{values['modes_covered']:.0f} modes, {100 * values['high_quality']:.0f} % hq"
    if len(name) + len(found) <= WIDE:
        return f"{name}: {found}"
    return "\n".join([*wrap(name, WIDE), found])


def _curves(run: Run, dataset: str, cells: list[Any]) -> Any:
    """A panel per metric over the steps: the mean over seeds, and their range."""
    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for cell in cells:
        for value in run.records.get(cell["key"], {"values": []})["values"]:
            if not value["final"] and value["step"] is not None:
                steps = found.setdefault(value["metric"], {}).setdefault(label_of(cell), {})
                steps.setdefault(value["step"], []).append(value["value"])
    if not found:
        return None
    modes = run.manifest["parts"]["dataset"][dataset].get("modes")
    columns = min(CURVES, len(found))
    figure, axes = new_panels(len(found), columns, PANEL_INCHES * 1.15, PANEL_INCHES)
    known = {**run.manifest.get("measured", {}), **run.manifest["metrics"]}
    for axis, (metric, models) in zip(axes, found.items(), strict=True):
        facts = known.get(metric, {})
        for model, by_step in models.items():
            steps = sorted(by_step)
            draw_range(axis, steps, [by_step[step] for step in steps], label=model)
        axis.set_title(facts.get("title") or metric.partition("@")[0], fontsize=8)
        axis.tick_params(labelsize=6)
        axis.set_xlabel("generator steps", fontsize=7)
        axis.set_ylim(0, _top(facts, modes))
        if facts.get("percent"):
            axis.yaxis.set_major_formatter(lambda y, _, f=facts: number(y, {**f, "digits": 0}))
    axes[0].legend(fontsize=6, frameon=False)
    figure.suptitle(f"{dataset}: mean and range over seeds", fontsize=9)
    return figure


def _losses(run: Run, dataset: str, cells: list[Any]) -> Any:
    """A panel for each thing that was noted of single steps, a line for each row."""
    found = traced(run, cells, TRACED)
    if not found:
        return None
    every = list(dict.fromkeys(model for models in found.values() for model in models))
    colours = {model: f"C{at % 10}" for at, model in enumerate(every)}
    columns, told = min(CURVES, len(found)), set[str]()
    figure, axes = new_panels(len(found), columns, PANEL_INCHES * 1.15, PANEL_INCHES)
    for axis, (name, models) in zip(axes, found.items(), strict=True):
        for model, by_step in models.items():
            steps, label = sorted(by_step), "" if model in told else model
            values = [by_step[step] for step in steps]
            draw_range(axis, steps, values, label=label, color=colours[model])
        axis.set_title(title_of(name), fontsize=8)
        axis.set_xlabel("steps", fontsize=7)
        if name.endswith("_gradient"):
            axis.set_yscale("log")
        axis.tick_params(labelsize=6, which="both")
        if models.keys() - told:
            axis.legend(fontsize=6, frameon=False)
            told |= models.keys()
    figure.suptitle(f"{dataset}: means of neighbouring steps, range over seeds", fontsize=9)
    return figure


def _top(facts: dict[str, Any], modes: int | None) -> float | None:
    """Where an axis ends: at the top of the metric's range, if it has one."""
    top = modes if facts.get("counts_modes") else facts.get("high")
    return None if top is None else 1.03 * top


def curve_png(table: Any, model: str) -> bytes:
    """Precision against recall over bounds of truncation, from a table with a row for each."""
    figure, (axis,) = new_figure(1, 1, 3.6, 4.4)
    wide = table.assign(metric=table["metric"].str.partition("@")[0])
    wide = wide.pivot(index="truncation", columns="metric", values="value").sort_index()
    axis.plot(wide["recall"], wide["precision"], marker="o", ms=3, lw=1.2, color="#c1272d")
    for place, said in said_once(zip(wide["recall"], wide["precision"], strict=True), wide.index):
        axis.annotate(said, place, fontsize=7, xytext=(5, -8), textcoords="offset points")
    axis.set(xlabel="recall (diversity)", ylabel="precision (quality)")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.grid(alpha=0.3, lw=0.5)
    axis.set_title(f"{model}: codes within a bound", fontsize=9)
    return as_png(figure, DPI)


def said_once(
    places: Iterable[tuple[float, float]], bounds: Iterable[float]
) -> Iterator[tuple[tuple[float, float], str]]:
    """A label for each place; places too near one another to label apart share the first's."""
    labels: list[tuple[tuple[float, float], list[str]]] = []
    for place, bound in zip(places, bounds, strict=True):
        said = "none" if np.isinf(bound) else f"{bound:g}"
        near = (names for other, names in labels if max(map(abs, np.subtract(place, other))) < 0.03)
        if (names := next(near, None)) is not None:
            names.append(said)
        else:
            labels.append((place, [said]))
    return ((place, ", ".join(names)) for place, names in labels)

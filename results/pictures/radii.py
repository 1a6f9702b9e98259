"""Shares over the radius, or over what stands where an attack has it: a severity, an area."""

from __future__ import annotations

from typing import Any

from results.pictures.figures import draw_range, new_figure
from results.runs import Run
from results.summary import label_of, strength_of

SHARES = ("adversarial_error", "corruption_error", "target_success", "confidence_on_errors")
PANELS = ("attack", "corruption", "patch")
"""Axes whose parts have a panel each."""
COLUMNS, HEIGHT, WIDTH = 5, 2.4, 3.2
ALONE = 1.6
"""How much larger a panel is that has the picture for itself."""
TICKS = 6
"""Radii that are each written at the axis; where there are more, matplotlib chooses."""

Radii = dict[float, list[float]]


def draw_radii(run: Run, block: dict[str, Any], dataset: str, cells: list[Any]) -> Any:
    """Rows per share, a panel per attack: a line per model, mean and range over the seeds. None
    where no line has two points.
    """
    found: dict[str, dict[str, dict[str, Radii]]] = {}
    for cell in cells:
        panel = ", ".join(cell["parts"][axis] for axis in PANELS if axis in cell["parts"])
        label = label_of(cell, but=("dataset", *PANELS))
        for value in run.records.get(cell["key"], {"values": []})["values"]:
            if value["epsilon"] is not None and value["metric"] in SHARES:
                panels = found.setdefault(value["metric"], {})
                radii = panels.setdefault(panel, {}).setdefault(label, {})
                radii.setdefault(value["epsilon"], []).append(value["value"])
    shares = {metric: found[metric] for metric in SHARES if metric in found}
    if not any(len(radii) > 1 for a in shares.values() for m in a.values() for radii in m.values()):
        return None
    columns = min(COLUMNS, max(len(panels) for panels in shares.values()))
    rows = {metric: -(-len(panels) // columns) for metric, panels in shares.items()}
    scale = ALONE if columns == sum(rows.values()) == 1 else 1
    figure, axes = new_figure(sum(rows.values()), columns, scale * HEIGHT, scale * WIDTH)
    colours: dict[str, Any] = {}
    for metric, panels in shares.items():
        mine, axes = axes[: rows[metric] * columns], axes[rows[metric] * columns :]
        title = run.manifest["metrics"].get(metric, {}).get("title", metric)
        for axis, (panel, lines) in zip(mine, panels.items(), strict=False):
            for label, radii in lines.items():
                _line(axis, label, radii, colours)
            met = sorted({radius for radii in lines.values() for radius in radii})
            if len(met) <= TICKS:
                axis.set_xticks(met)
            axis.set_title(": ".join(filter(None, [panel, title])), fontsize=8)
            axis.set_ylim(-0.03, 1.03)
            axis.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")
            axis.set_xlabel(strength_of(run.manifest, block["name"]), fontsize=7)
            axis.tick_params(labelsize=6)
            axis.grid(alpha=0.3, lw=0.5)
        for axis in mine[len(panels) :]:
            axis.set_axis_off()
    figure.legend(
        colours.values(), colours.keys(), loc="outside lower center", ncols=min(6, 3 * columns),
        fontsize=7, frameon=False,
    )  # fmt: skip
    figure.suptitle(f"{dataset}: mean and range over seeds", fontsize=9)
    return figure


def _line(axis: Any, label: str, by_radius: Radii, colours: dict[str, Any]) -> None:
    """One model's mean over its seeds; the same colour in every panel."""
    radii = sorted(by_radius)
    rows = [by_radius[radius] for radius in radii]
    place = list(colours).index(label) if label in colours else len(colours)
    style = {"color": f"C{place % 10}", "ls": ("-", "--", ":")[place // 10 % 3]}
    colours.setdefault(label, draw_range(axis, radii, rows, **style, marker="o", ms=2))

"""Robust accuracy between two bounds: what an attack leaves and what a certificate shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from results.pictures.figures import new_panels
from results.runs import Run
from results.summary import label_of

COLUMNS, HEIGHT, WIDTH = 3, 2.5, 3.2
ABOVE, BELOW = "robust_accuracy", "certified_accuracy"


def draw_brackets(run: Run, dataset: str, cells: list[Any]) -> Any:
    """A panel for each row that has both bounds: the attack's and the certificate's, means over the
    seeds, over the radius; the truth is in the shaded part between. None where no row has.
    """
    found: dict[str, dict[float, dict[str, list[float]]]] = {}
    for cell in cells:
        for value in run.records.get(cell["key"], {"values": []})["values"]:
            if value["epsilon"] is not None and value["metric"] in (ABOVE, BELOW):
                radii = found.setdefault(label_of(cell), {})
                both = radii.setdefault(value["epsilon"], {})
                both.setdefault(value["metric"], []).append(value["value"])
    panels = {
        label: kept
        for label, radii in found.items()
        if len(kept := {r: both for r, both in radii.items() if len(both) > 1}) > 1
    }
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    figure, axes = new_panels(len(panels), columns, HEIGHT, WIDTH)
    for axis, (label, radii) in zip(axes, panels.items(), strict=True):
        at = sorted(radii)
        above, below = ([float(np.mean(radii[r][name])) for r in at] for name in (ABOVE, BELOW))
        axis.fill_between(at, below, above, color="#cccccc", lw=0, label="undecided")
        axis.plot(at, above, color="#c1272d", marker="o", ms=3, lw=1.2, label="left by the attack")
        axis.plot(at, below, color="#1f4e79", marker="o", ms=3, lw=1.2, label="certified")
        axis.set_title(label.replace(" / ", "\n", 1), fontsize=8)
        axis.set_ylim(-0.03, 1.03)
        axis.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")
        axis.set_xlabel("radius", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.grid(alpha=0.3, lw=0.5)
    axes[0].legend(fontsize=6, frameon=False)
    figure.suptitle(f"{dataset}: robust accuracy lies in between", fontsize=9)
    return figure

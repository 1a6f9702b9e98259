"""Pictures of the images that excite units and random directions most, a row for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from results.pictures.figures import new_panels
from results.pictures.sheets import draw_sheet

KINDS = {"top_units": "units", "top_random": "random directions"}


def draw_tops(
    title: str, panels: Sequence[tuple[str, Mapping[str, np.ndarray]]], colour: bool = False
) -> Any:
    """A row for each cell, named: to the left the top images of units, to the right those of random
    directions, uint8 [rows, top, c, h, w]. None where no cell keeps any.
    """
    kept = [(name, arrays) for name, arrays in panels if KINDS.keys() <= arrays.keys()]
    if not kept:
        return None
    figure, axes = new_panels(2 * len(kept), 2, 2.6, 3.4)
    drawn = [(name, arrays[key], said) for name, arrays in kept for key, said in KINDS.items()]
    for axis, (name, tops, said) in zip(axes, drawn, strict=True):
        draw_sheet(axis, tops.reshape(-1, *tops.shape[2:]), colour, columns=tops.shape[1])
        axis.set_title(f"{name}: {said}", fontsize=7)
    figure.suptitle(title, fontsize=9)
    return figure

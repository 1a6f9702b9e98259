"""Energy by level: how much of an image each level of a pyramid holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement
from bench.tasks.imaging.base import ImagingTask, asked_of, grey_bytes
from bench.tasks.values import facts_of, value_of
from generative.pyramids import PYRAMIDS, Pyramid
from metrics import METRICS

SHARE, REBUILT = "energy_share", "rebuilding_error"
ENDS = {"high": "above all levels", "low": "below all levels", "all": "all coefficients"}
SHOWN = 1
"""Images of a picture."""


class LevelsTask(ImagingTask):
    """The model is a pyramid; of images less their means."""

    parts, kind = PYRAMIDS, Pyramid
    takes = ("energies", "rebuilt")

    def gives(self, model: str, settings: Mapping[str, Any]) -> Iterable[str]:
        names = _names(model, settings["levels"])
        return [*(f"{SHARE}@{name}" for name in (*names, "all")), REBUILT]

    def metric_facts(self, name: str) -> dict[str, Any]:
        known, _, level = name.partition("@")
        facts = facts_of(known, self.takes)
        if known == REBUILT and not level:
            return {**facts, "name": name}
        if known == SHARE and level in ENDS:
            title = f"{facts['title']} {ENDS[level]}"
        elif known == SHARE and level.isdecimal() and int(level) > 0:
            title = f"{facts['title']} of level {level}"
        else:
            raise UsageError(
                f"metric '{name}': expected {SHARE}@1 for the finest level and so on, or "
                f"{', '.join(f'{SHARE}@{end}' for end in ENDS)}, or {REBUILT}"
            )
        return {**facts, "title": title, "name": name}

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        pixels = grey_bytes(cell, bench.device).double()
        images = pixels - pixels.mean((1, 2, 3), keepdim=True)
        pyramid, asked = PYRAMIDS[cell.part("model")].part, asked_of(cell)
        bands = pyramid.bands(images, asked)
        held = [energies(level) for level in bands]
        names, whole = _names(cell.part("model"), asked.levels), energies([images])
        told = [*zip(names, held, strict=True), ("all", np.sum(held, axis=0))]
        share = METRICS[SHARE].part
        values = [value_of(SHARE, share(whole, each), suffix=f"@{name}") for name, each in told]
        again = pyramid.images(bands, asked).cpu().numpy()
        error = METRICS[REBUILT].part(images.cpu().numpy(), again)
        shown = {f"level{k:02}": _seen(level) for k, level in enumerate(bands)}
        return Measurement([*values, value_of(REBUILT, error)], arrays=shown)


def energies(bands: Sequence[Tensor]) -> np.ndarray:
    """The sum of squares of each image's coefficients in some bands, [n]."""
    held = [band.square().flatten(1).sum(1) for band in bands]
    return torch.stack(held).sum(0).cpu().numpy()


def _names(model: str, levels: int) -> list[str]:
    """Of what a pyramid's bands are listed as, finest first."""
    above = ["high"] if PYRAMIDS[model].facts.tight else []
    return [*above, *(str(level) for level in range(1, levels + 1)), "low"]


def _seen(bands: Sequence[Tensor]) -> np.ndarray:
    """The bands of the first image as bytes, [bands, 1, h, w]: grey is 0, white three standard
    deviations of the level.
    """
    first = [band[:SHOWN] for band in bands]
    wide = 3 * max(float(sum(b.square().mean() for b in first) / len(first)) ** 0.5, 1e-9)
    found = [((b / wide + 1) * 127.5).clamp(0, 255).round().byte().cpu().numpy() for b in first]
    return np.concatenate(found)


TASKS.register("levels")(LevelsTask())

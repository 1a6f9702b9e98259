"""Seams: the left half of one image and the right half of the next, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement
from bench.tasks.imaging.base import ImagingTask, grey_bytes
from bench.tasks.values import scored_by, value_of
from generative.pyramids import BLENDS, Blend
from generative.pyramids.quantising import to_bytes
from metrics.seams import Joined

SHOWN = 4
"""Images of a picture."""


class BlendingTask(ImagingTask):
    """The model is a blend; the last image's partner is the first."""

    parts, kind = BLENDS, Blend
    takes = ("joined",)

    def gives(self, model: str, settings: Mapping[str, Any]) -> Iterable[str]:
        return [entry.name for entry in scored_by(self.takes)]

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        images = grey_bytes(cell, bench.device).double()
        seam = images.shape[3] // 2
        blend = BLENDS[cell.part("model")].part
        mask, levels = left_of(images, seam), cell.settings.get("levels", 0)
        made = to_bytes(blend.blend(images, images.roll(-1, 0), mask, levels)).cpu().numpy()
        fake = Joined(made, seam)
        values = [value_of(e.name, e.part(None, fake)) for e in scored_by(self.takes)]
        return Measurement(values, arrays={"blended": made[:SHOWN]})


def left_of(images: Tensor, seam: int) -> Tensor:
    """A mask [1, 1, h, w] that is 1 left of a column."""
    mask = torch.zeros_like(images[:1, :1])
    mask[..., :seam] = 1
    return mask


TASKS.register("blending")(BlendingTask())

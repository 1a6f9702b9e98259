"""Rate against distortion: how many bits a code of images takes, and how far off they come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement
from bench.tasks.imaging.base import ImagingTask, asked_of, grey_bytes
from bench.tasks.values import scored_by, value_of
from generative.pyramids import CODERS, Coder
from generative.pyramids.quantising import to_bytes
from metrics.coding import Sent


class CodingTask(ImagingTask):
    """The model is a coder; what it decodes is scored as bytes."""

    parts, kind = CODERS, Coder
    takes = ("coded",)

    def gives(self, model: str, settings: Mapping[str, Any]) -> Iterable[str]:
        return [entry.name for entry in scored_by(self.takes)]

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        images = grey_bytes(cell, bench.device)
        coded = CODERS[cell.part("model")].part.code(images.double(), asked_of(cell))
        symbols = [one.cpu().numpy() for one in coded.symbols]
        bits = None if coded.bits is None else coded.bits.cpu().numpy()
        decoded = to_bytes(coded.decoded).cpu().numpy()
        real, fake = images.cpu().numpy(), Sent(decoded, symbols, bits)
        values = [value_of(e.name, e.part(real, fake)) for e in scored_by(self.takes)]
        return Measurement(values)


TASKS.register("coding")(CodingTask())

"""Pixels as features: no network, nothing to fetch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor

from bench.extractors.base import EXTRACTORS, Extractor, Loading, Reader, Seen

SIDE = 32
"""What images of several sizes, or of more than LARGEST pixels a side, are brought to."""
LARGEST = 64


@dataclass(frozen=True)
class Pixels(Extractor):
    """Every value of every pixel."""

    @property
    def tag(self) -> str:
        return "pixels"

    def load(self, loading: Loading) -> Reader:
        return _flat


def usual_size(part: Extractor, sizes: Collection[tuple[int, int]]) -> tuple[int, int] | None:
    """What images of these heights and widths are brought to where nothing else is asked for: the
    extractor's size; where it has none, 32 x 32 if sizes differ or exceed 64; else None.
    """
    if part.size is not None:
        return part.size
    return (SIDE, SIDE) if len(sizes) > 1 or max(map(max, sizes)) > LARGEST else None


def _flat(images: Tensor) -> Seen:
    return Seen(images.flatten(1))


EXTRACTORS.register(
    "pixels",
    summary=f"The values of the pixels; at {SIDE} x {SIDE} where sizes differ or exceed {LARGEST}",
)(Pixels())

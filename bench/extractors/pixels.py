"""Pixels as features: no network, nothing to fetch."""

from __future__ import annotations

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


def _flat(images: Tensor) -> Seen:
    return Seen(images.flatten(1))


EXTRACTORS.register(
    "pixels",
    summary=f"The values of the pixels; at {SIDE} x {SIDE} where sizes differ or exceed {LARGEST}",
)(Pixels())

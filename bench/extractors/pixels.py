"""Pixels as features: no network, nothing to fetch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bench.extractors.base import CROWDED, EXTRACTORS, Extractor, Loading, Reader, Seen

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
    summary=f"The values of the pixels; at {CROWDED} x {CROWDED} where sizes differ or exceed "
    f"{LARGEST}",
)(Pixels(largest=LARGEST))

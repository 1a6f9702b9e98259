"""The pyramids that there are, under their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generative.pyramids import laplacian, steerable
from generative.pyramids.contracts import BURT_CODE, PYRAMIDS, Asked, Pyramid
from generative.pyramids.laplacian import Filtering


@dataclass(frozen=True)
class Laplacian(Pyramid):
    """Differences of levels, one band each, and the coarsest level."""

    reads = ("levels", "a", "border")

    def most(self, size: Sequence[int]) -> int:
        return laplacian.most_levels(size)

    def bands(self, images: Tensor, asked: Asked) -> list[list[Tensor]]:
        by = Filtering(asked.a, asked.border)
        return [[level] for level in laplacian.laplacian(images, asked.levels, by)]

    def images(self, bands: Sequence[Sequence[Tensor]], asked: Asked) -> Tensor:
        by = Filtering(asked.a, asked.border)
        return laplacian.collapse([level for (level,) in bands], by)


@dataclass(frozen=True)
class Steerable(Pyramid):
    """Oriented bands a level, between a highpass and a lowpass band."""

    reads = ("levels", "orientations")

    def most(self, size: Sequence[int]) -> int:
        return steerable.most_levels(size)

    def bands(self, images: Tensor, asked: Asked) -> list[list[Tensor]]:
        found = steerable.analyse(images, asked.levels, asked.orientations)
        oriented = [list(level.unbind(2)) for level in found.oriented]
        return [[found.high], *oriented, [found.low]]

    def images(self, bands: Sequence[Sequence[Tensor]], asked: Asked) -> Tensor:
        (high,), *levels, (low,) = bands
        oriented = [torch.stack([*level], 2) for level in levels]
        return steerable.synthesise(steerable.Bands(high, oriented, low))


PYRAMIDS.register("laplacian", paper=BURT_CODE)(Laplacian())
PYRAMIDS.register("steerable", paper="doi:10.1109/ICIP.1995.537667", tight=True)(Steerable())

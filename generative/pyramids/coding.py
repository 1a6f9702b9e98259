"""The Laplacian pyramid as an image code (Burt and Adelson 1983), open and closed loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from generative.pyramids import laplacian
from generative.pyramids.contracts import BURT_CODE, CODERS, Asked, Coded, Coder
from generative.pyramids.laplacian import Filtering, collapse, expand, gaussian, most_levels
from generative.pyramids.quantising import restored, rounded


@dataclass(frozen=True)
class LaplacianCoder(Coder):
    """Every level is rounded to multiples of one step, and has a code of its own.

    closed: a level is what the decoder of all coarser ones leaves over, so that the error of an
    image is that of the finest level alone. Open, a level is what the true coarser one leaves over,
    and the errors of all levels add up, expanded.
    """

    closed: bool
    reads = ("levels", "a", "border", "step")

    def most(self, size: Sequence[int]) -> int:
        return most_levels(size)

    def code(self, images: Tensor, asked: Asked) -> Coded:
        by = Filtering(asked.a, asked.border)
        coded = closed_loop if self.closed else open_loop
        return coded(images, asked.levels, asked.step, by)


def open_loop(images: Tensor, levels: int, step: float, by: Filtering) -> Coded:
    """The pyramid as it is, rounded."""
    bands = laplacian.laplacian(images, levels, by)
    symbols = [rounded(band, step) for band in bands]
    decoded = [restored(one, step, band) for one, band in zip(symbols, bands, strict=True)]
    return Coded(collapse(decoded, by), tuple(one.flatten(1) for one in symbols))


def closed_loop(images: Tensor, levels: int, step: float, by: Filtering) -> Coded:
    """From the coarsest level on, each less what the decoder has of it already."""
    smooth = gaussian(images, levels, by)
    symbols = [rounded(smooth[-1], step)]
    decoded = restored(symbols[0], step, images)
    for one in reversed(smooth[:-1]):
        known = expand(decoded, one.shape[2:], by)
        symbols.insert(0, rounded(one - known, step))
        decoded = known + restored(symbols[0], step, images)
    return Coded(decoded, tuple(one.flatten(1) for one in symbols))


CODERS.register(
    "laplacian-open",
    paper=BURT_CODE,
    summary="The levels of a Laplacian pyramid, rounded: errors of all levels add up",
)(LaplacianCoder(closed=False))
CODERS.register(
    "laplacian-closed",
    paper=BURT_CODE,
    summary="The same, each level with what rounding the coarser ones left over",
)(LaplacianCoder(closed=True))

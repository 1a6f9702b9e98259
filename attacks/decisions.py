"""What attacks share that are told decisions alone: the oracle, where they start, the boundary."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attacks.contracts import UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.engine import logits_of
from attacks.norms import into_box, refuse, size, spread
from attacks.objectives import answered
from attacks.pixels import as_planes
from attacks.streams import uniform
from bench.core.errors import UsageError

Index = Int[Tensor, " some"]
"""Which images of the oracle's batch."""

FIRST = 0.9
CELLS = (None, 4, 2)
"""How many cells of noise there are along a side, draw by draw; None for pixels."""


class Oracle:
    """Says of points whether they are taken for something else than the labels (or for the
    targets), each image so many times, and keeps the nearest of them that are.

    left: the questions that each image has. best, nearest: the nearest such point that was met, the
    image itself where there is none, and how far it is.
    """

    def __init__(
        self, model: Model, images: Images, aims: Labels, norm: str, queries: int, targeted: bool
    ) -> None:
        self.left = torch.full_like(aims, queries)
        self.best = images.clone()
        self.nearest = torch.full_like(aims, torch.inf, dtype=images.dtype)
        self._given = model, images, aims, norm, targeted

    def ask(self, points: Images, index: Index) -> Bool[Tensor, " some"]:
        """About one point an image, of images that have a question left."""
        _, images, _, norm, _ = self._given
        won = self.votes(points[:, None], index)[:, 0]
        far = size(points - images[index], norm)
        nearer = won & (far < self.nearest[index])
        self.best[index[nearer]], self.nearest[index[nearer]] = points[nearer], far[nearer]
        return won

    def votes(self, points: Tensor, index: Index) -> Bool[Tensor, "some each"]:
        """About several points an image, [some, each, *image], none of which is kept.

        The last image of a batch is asked about twice over: there are models that can't tell of
        one alone (batch norm in training mode).
        """
        model, _, aims, _, targeted = self._given
        count = points.shape[1]
        self.left[index] -= count
        if not len(index):
            return points.new_zeros((0, count), dtype=torch.bool)
        asked = points.flatten(0, 1)
        if len(asked) == 1 < len(self.left):
            asked = asked.expand(2, *asked.shape[1:])
        logits = logits_of(model, asked)[: len(index) * count]
        same = logits.argmax(1) == aims[index].repeat_interleave(count)
        return ((same == targeted) & answered(logits)).reshape(-1, count)


@dataclass
class Walkers:
    """The images that still have questions, each at a point that is misclassified; one batch.

    index: their place in the oracle.
    """

    index: Index
    images: Images
    seeds: Seeds
    at: Images

    def only(self, kept: Tensor) -> Walkers:
        return Walkers(*(value[kept] for value in vars(self).values()))


@dataclass(frozen=True)
class Decisions(MinimalNorm):
    """A search that sees the class of a point and nothing else, `queries` times an image.

    The nearest misclassified point that it asked about is returned. It starts from random noise of
    the image's own that is misclassified, at most `tries` draws: of pixels, or of cells of several
    sizes, for networks that take any fine noise for one class. An image for which none is
    misclassified is returned as it is.

    No noise is taken for a class of one's choice: `targets` are refused, and `nearer` takes an
    image of the target class for each to start from.
    """

    queries: int = 5000
    tries: int = 100
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    @abstractmethod
    def walk(self, on: Walkers, oracle: Oracle, norm: str, box: Box) -> None:
        """Look for nearer points from those that are given, until no questions are left."""

    @final
    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "a search by decisions")
        if targets is not None:
            raise UsageError(
                "a search by decisions has no image of a target class to start from: call "
                "`nearer(..., starts=)` with one for each image, or leave the class open"
            )
        oracle = Oracle(model, images, labels, norm, self.queries, False)
        everyone = torch.arange(len(images), device=images.device)
        right = ~oracle.ask(images, everyone) if self.queries > 0 else everyone < 0
        on = Walkers(everyone[right], images[right], seeds[right], images[right])
        self.walk(self._begun(on, oracle, box), oracle, norm, box)
        return oracle.best

    @final
    def nearer(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        starts: Images,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        targets: Labels | None = None,
    ) -> Images:
        """The same from given points, one an image, for targets too.

        An image whose start is not taken for its target is returned as it is, and so is one that
        is taken for it already.
        """
        refuse(norm, self.norms, "a search by decisions")
        if starts.shape != images.shape:
            raise UsageError(
                f"starts: expected one for each image, {list(images.shape)}, got "
                f"{list(starts.shape)}"
            )
        aims = labels if targets is None else targets
        oracle = Oracle(model, images, aims, norm, self.queries, targets is not None)
        everyone = torch.arange(len(images), device=images.device)
        missing = ~oracle.ask(images, everyone)
        index = everyone[missing]
        begun = oracle.ask(starts[index], index)
        on = Walkers(index[begun], images[index[begun]], seeds[index[begun]], starts[index[begun]])
        self.walk(on, oracle, norm, box)
        return oracle.best

    def _begun(self, on: Walkers, oracle: Oracle, box: Box) -> Walkers:
        """Those that noise starts, at the noise."""
        begun: list[Walkers] = [on.only(torch.zeros_like(on.index, dtype=torch.bool))]
        for draw in range(self.tries):
            on = on.only(oracle.left[on.index] > 0)
            if not len(on.index):
                break
            on.at = noise(on.images, on.seeds, draw, box)
            won = oracle.ask(on.at, on.index)
            begun.append(on.only(won))
            on = on.only(~won)
        parts = zip(*(vars(each).values() for each in begun), strict=True)
        joined = Walkers(*(torch.cat(part) for part in parts))
        return joined.only(joined.index.argsort())


def noise(images: Images, seeds: Seeds, draw: int, box: Box) -> Images:
    """The noise of a draw: in turn uniform pixels, then four and two cells a side, each at
    either end of the box. Without a box it is added, as large as the image's range in the first
    round, and twice as large in each one after it.
    """
    planes, cells = as_planes(images), CELLS[draw % len(CELLS)]
    sides = [length if cells is None else min(cells, length) for length in planes.shape[2:]]
    drawn = uniform(seeds, (planes.shape[1], *sides), draw, 9)
    if cells is not None:
        drawn = (drawn > 0.5).to(drawn.dtype)
    for axis, (side, length) in enumerate(zip(sides, planes.shape[2:], strict=True), 2):
        drawn = drawn.index_select(axis, torch.arange(length, device=drawn.device) * side // length)
    drawn = drawn.to(images.dtype).reshape(images.shape)
    if box is not None:
        return into_box(box[0] + (box[1] - box[0]) * drawn, box)
    flat = images.flatten(1)
    span = flat.amax(1) - flat.amin(1)
    span = torch.where(span > 0, span, 1.0) * 2.0 ** (draw // len(CELLS))
    return images + spread(span, images) * (2 * drawn - 1)


def to_boundary(
    on: Walkers,
    oracle: Oracle,
    norm: str,
    box: Box,
    *,
    tolerance: float,
    going: Tensor | None = None,
) -> Images:
    """Each point, moved towards its image until it is within `tolerance` of the boundary, by
    bisection, as far as questions are left: along the line in l2, by a shrinking cube in linf. The
    first look is at nine tenths, for points that are not far behind it.

    tolerance: as a share of the point's distance. going: which ones to move at all.
    """
    far = size(on.at - on.images, norm)
    low, high = torch.zeros_like(far), torch.ones_like(far)
    going = torch.ones_like(on.index, dtype=torch.bool) if going is None else going
    while True:
        going = going & (high - low > tolerance) & (oracle.left[on.index] > 0)
        if not bool(going.any()):
            return _between(on.images, on.at, far, high, norm, box)
        middle = torch.where((low == 0) & (high == 1), FIRST, (low + high) / 2)
        some = on.only(going)
        points = _between(some.images, some.at, far[going], middle[going], norm, box)
        won = torch.zeros_like(going)
        won[going] = oracle.ask(points, some.index)
        high = torch.where(going & won, middle, high)
        low = torch.where(going & ~won, middle, low)


def _between(
    images: Images, points: Images, far: Tensor, share: Tensor, norm: str, box: Box
) -> Images:
    """Points at a share of their distance; at 1 as they are."""
    if norm == "linf":
        limit = spread(far * share, images)
        there = images + torch.minimum(torch.maximum(points - images, -limit), limit)
    else:
        there = images + spread(share, images) * (points - images)
    return torch.where(spread(share, images) < 1, into_box(there, box), points)

"""The fast adaptive boundary attack: along the boundary, back towards the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.goals import check_targets, likeliest
from attacks.gradients import ascent, look, misled, ordinary
from attacks.halfspace import reach
from attacks.norms import PerImage, into_box, refuse, size, spread
from attacks.objectives import ahead

BEYOND, BACK, PULL, HALVINGS = 1.05, 0.9, 0.1, 3


@dataclass(frozen=True)
class Fab(MinimalNorm):
    """Croce and Hein 2020, algorithm 1, for one class at a time (their FAB-T): the boundary to the
    class is taken for the plane that it is to first order; the next point is 1.05 of the way to
    the nearest point of the plane within the box, pulled towards that of the image itself, and a
    misclassified one is put back by a tenth of its way. Three halvings of the way end the search.

    steps: for each class, a gradient and two forwards each. classes: how many wrong ones are
    tried, the likeliest first, where the call gives no targets. There is no random restart.
    """

    steps: int = 40
    classes: int = 3
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

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
        refuse(norm, self.norms, "fab")
        result = images.clone()
        if not len(images):
            return result
        logits = look(model, images)
        right = ~misled(logits, labels)
        nearest = torch.full_like(labels, torch.inf, dtype=images.dtype)
        boundary = Boundary(self.steps, norm, box, strict=targets is not None)
        for aims in map(ordinary, self._aims(logits, labels, targets)):
            found, far = boundary.search(model, images, labels, aims, images)
            nearer = right & (far < nearest)
            result[nearer], nearest[nearer] = found[nearer], far[nearer]
        return result

    def _aims(self, logits: Tensor, labels: Labels, targets: Labels | None) -> Iterator[Labels]:
        """A wrong class for each image, one after another."""
        if targets is not None:
            check_targets(targets, labels, logits.shape[1], "fab")
            yield targets
            return
        yield from likeliest(logits, labels)[: self.classes]


@dataclass
class _Searched:
    """The images still searched for: `index` of them, where they are, and the nearest found."""

    index: Tensor
    images: Images
    labels: Labels
    aims: Labels
    at: Images
    best: Images
    nearest: PerImage

    def only(self, kept: Tensor) -> _Searched:
        return _Searched(*(value[kept] for value in vars(self).values()))


@dataclass(frozen=True)
class Boundary:
    """A search along the boundary to one class each. strict: only those images count that are taken
    for the class. until: how near is near enough, for each image: it leaves then.
    """

    steps: int
    norm: str
    box: Box
    strict: bool = False
    until: PerImage | None = None

    def search(
        self, model: Model, images: Images, labels: Labels, aims: Labels, starts: Images
    ) -> tuple[Images, PerImage]:
        """The nearest misclassified images met, and how far they are: infinitely where there are
        none.
        """
        far = torch.full_like(labels, torch.inf, dtype=images.dtype)
        index = torch.arange(len(labels), device=labels.device)
        on = _Searched(index, images, labels, aims, starts, images.clone(), far)
        best, nearest = images.clone(), far.clone()
        for _ in range(self.steps):
            on = self._leave(on, best, nearest)
            if not len(on.index):
                return best, nearest
            slope, logits = self._slope(model, on)
            on.at = self._step(on, slope, ahead(logits, on.labels, on.aims))
            back = into_box(on.images + BACK * (on.at - on.images), self.box)
            on.at = torch.where(spread(self._keep(model, on, on.at), on.at).bool(), back, on.at)
        low, high = on.images, on.best.clone()
        for _ in range(HALVINGS):
            middle = into_box((low + high) / 2, self.box)
            good = spread(self._keep(model, on, middle), middle).bool()
            low, high = torch.where(good, low, middle), torch.where(good, middle, high)
        best[on.index], nearest[on.index] = on.best, on.nearest
        return best, nearest

    def _slope(self, model: Model, on: _Searched) -> tuple[Images, Tensor]:
        return ascent(model, on.at, on.labels, lambda z, y: ahead(z, y, on.aims))

    def _leave(self, on: _Searched, best: Images, nearest: PerImage) -> _Searched:
        """Write down those that are near enough; the others go on."""
        if self.until is None:
            return on
        done = on.nearest <= self.until[on.index]
        if not bool(done.any()):
            return on
        best[on.index[done]], nearest[on.index[done]] = on.best[done], on.nearest[done]
        return on.only(~done)

    def _keep(self, model: Model, on: _Searched, points: Images) -> Tensor:
        """Which points are misclassified; of those the nearer ones are kept."""
        logits = look(model, points)
        good, far = misled(logits, on.labels), size(points - on.images, self.norm)
        if self.strict:
            good = good & (logits.argmax(1) == on.aims)
        nearer = good & (far < on.nearest)
        on.best[nearer], on.nearest[nearer] = points[nearer], far[nearer]
        return good

    def _step(self, on: _Searched, slope: Images, height: PerImage) -> Images:
        """From where the class is `height` ahead of the label to beyond the plane."""
        images, at = on.images, on.at
        level = height + (slope * (images - at)).flatten(1).sum(1)
        here, home = (
            reach(x, -spread(value.sign(), x) * slope, value.abs(), self.norm, self.box) - x
            for x, value in ((at, height), (images, level))
        )
        way, back = size(here, self.norm), size(home, self.norm)
        share = spread((way / (way + back).clamp_min(1e-12)).clamp_max(PULL), at)
        moved = (1 - share) * (at + BEYOND * here) + share * (images + BEYOND * home)
        return into_box(moved, self.box)


ATTACKS.register(
    "fab",
    paper="arXiv:1907.02044",
    summary="Fast adaptive boundary search for the smallest perturbation",
)(Fab())

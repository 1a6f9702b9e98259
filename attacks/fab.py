"""The fast adaptive boundary attack: along the boundary, back towards the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.gradients import ascent, look, misled, ordinary
from attacks.halfspace import reach
from attacks.norms import PerImage, into_box, refuse, size, spread
from attacks.objectives import ahead
from bench.core.errors import UsageError

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
        for aims in map(ordinary, self._aims(logits, labels, targets)):
            found, far = self._search(model, images, labels, aims, norm, box, targets is not None)
            nearer = right & (far < nearest)
            result[nearer], nearest[nearer] = found[nearer], far[nearer]
        return result

    def _aims(self, logits: Tensor, labels: Labels, targets: Labels | None) -> Iterator[Labels]:
        """A wrong class for each image, one after another."""
        if targets is not None:
            if bool((targets == labels).any()):
                raise UsageError("fab expected targets other than the labels")
            yield targets
            return
        others = logits.scatter(1, labels[:, None], -torch.inf)
        likeliest = others.argsort(dim=1, descending=True, stable=True)[:, :-1]
        yield from likeliest[:, : self.classes].T

    def _search(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        aims: Labels,
        norm: str,
        box: Box,
        strict: bool,
    ) -> tuple[Images, PerImage]:
        """The nearest misclassified images met, and how far they are: infinitely where there are
        none. strict: only those count that are taken for the class.
        """

        def won(points: Images) -> Tensor:
            logits = look(model, points)
            wrong = misled(logits, labels)
            return wrong & (logits.argmax(1) == aims) if strict else wrong

        def keep(points: Images) -> Tensor:
            good, far = won(points), size(points - images, norm)
            nearer = good & (far < nearest)
            best[nearer], nearest[nearer] = points[nearer], far[nearer]
            return good

        at, best = images, images.clone()
        nearest = torch.full_like(labels, torch.inf, dtype=images.dtype)
        for _ in range(self.steps):
            slope, logits = ascent(model, at, labels, lambda z, y: ahead(z, y, aims))
            at = self._step(images, at, slope, ahead(logits, labels, aims), norm, box)
            good = keep(at)
            back = into_box(images + BACK * (at - images), box)
            at = torch.where(spread(good, at).bool(), back, at)
        low, high = images, best.clone()
        for _ in range(HALVINGS):
            middle = into_box((low + high) / 2, box)
            good = spread(keep(middle), at).bool()
            low, high = torch.where(good, low, middle), torch.where(good, middle, high)
        return best, nearest

    def _step(
        self, images: Images, at: Images, slope: Images, height: PerImage, norm: str, box: Box
    ) -> Images:
        """From where the class is `height` ahead of the label to beyond the plane."""
        level = height + (slope * (images - at)).flatten(1).sum(1)
        here, home = (
            reach(x, -spread(value.sign(), x) * slope, value.abs(), norm, box) - x
            for x, value in ((at, height), (images, level))
        )
        way, back = size(here, norm), size(home, norm)
        share = spread((way / (way + back).clamp_min(1e-12)).clamp_max(PULL), at)
        moved = (1 - share) * (at + BEYOND * here) + share * (images + BEYOND * home)
        return into_box(moved, box)


ATTACKS.register(
    "fab",
    paper="arXiv:1907.02044",
    summary="Fast adaptive boundary search for the smallest perturbation",
)(Fab())

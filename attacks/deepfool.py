"""DeepFool: to the nearest of the planes that the boundaries are to first order, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.goals import Goal, check_targets, likeliest
from attacks.gradients import ask, differentiable, look, misled, ordinary
from attacks.minimal import SURE, TINY, Company, sure
from attacks.norms import PerImage, into_box, refuse, size, spread
from attacks.objectives import Logits, answered

DUAL = {"linf": "l1", "l2": "l2"}
LEAST = 1e-4
"""What the authors' code adds to every way."""


@dataclass(frozen=True)
class DeepFool(MinimalNorm):
    """Moosavi-Dezfooli et al. 2016, algorithm 2 and equation 11: each boundary to one of the
    likeliest wrong classes is taken for the plane that it is to first order, and the point moves to
    the nearest one, until the goal is reached.

    Deviations: a point goes `1 + overshoot` of each way and is put into the box, where the paper
    multiplies the whole way in the end and knows no box; and what was found is drawn back to the
    image by `halvings` of the way between them, where the paper takes it as it is (0 does that).

    classes: how many wrong ones are looked at, a gradient each; with targets the target alone.
    """

    steps: int = 50
    classes: int = 9
    overshoot: float = 0.02
    halvings: int = 4
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

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
        refuse(norm, self.norms, "deepfool")
        if not len(images):
            return images.clone()
        with differentiable():
            goal, shown = Goal(labels, targets).ordinary(), Company(model, len(images))
            found = self._search(shown, ordinary(images), goal, norm, box)
            return self._drawn_back(shown, ordinary(images), found, goal, box)

    def _search(self, model: Model, images: Images, goal: Goal, norm: str, box: Box) -> Images:
        """The first points that reach the goal; the images where none does."""
        result, index, at = images.clone(), torch.arange(len(images), device=images.device), images
        for step in range(self.steps + 1):
            points = at.detach().requires_grad_()
            logits = ask(model, points)
            seen = logits.detach()
            if step == 0:
                aims, going = self._aims(seen, goal), ~misled(seen, goal.labels)
            else:
                won = sure(seen, goal.lead(seen))
                result[index[won]] = at[won]
                going = ~won
            going &= answered(seen)
            if step == self.steps or not logits.requires_grad or not bool(going.any()):
                break
            height, slope = _nearest(logits, points, _own(seen, goal), aims, norm)
            at = self._beyond(at, height, slope, seen, norm, box)[going]
            index, goal, aims = index[going], goal.only(going), aims[going]
        return result

    def _aims(self, logits: Tensor, goal: Goal) -> Tensor:
        """The classes that are looked at for each image, [batch, classes]."""
        if goal.targets is not None:
            check_targets(goal.targets, goal.labels, logits.shape[1], "deepfool")
            return goal.targets[:, None]
        return likeliest(logits, goal.labels)[: self.classes].T

    def _beyond(
        self, at: Images, height: PerImage, slope: Images, logits: Logits, norm: str, box: Box
    ) -> Images:
        """To beyond a plane that is `height` away, by more than the rounding of the logits; what
        leaves the box is clipped, and the rest of the way is for the next steps.
        """
        rounding = torch.finfo(logits.dtype).eps * logits.abs().amax(1)
        steep = size(slope, DUAL[norm]).clamp_min(TINY)
        least = (1 + self.overshoot) * (height.clamp_min(0) / steep + LEAST)
        way = torch.maximum(least, (height.clamp_min(0) + 2 * SURE * rounding) / steep)
        if norm == "linf":
            return into_box(at + spread(way, at) * slope.sign(), box)
        return into_box(torch.addcmul(at, slope, spread(way / steep, at)), box)

    def _drawn_back(
        self, model: Model, images: Images, found: Images, goal: Goal, box: Box
    ) -> Images:
        """The nearest point that reaches the goal of those tried on the way back to the image."""
        index = (found != images).flatten(1).any(1).nonzero()[:, 0]
        if not len(index):
            return found
        start, best, here = images[index], found[index], goal.only(index)
        low, high = torch.zeros_like(start.flatten(1)[:, 0]), torch.ones(len(start)).to(start)
        whole = best - start
        for _ in range(self.halvings):
            middle = (low + high) / 2
            tried = into_box(start + spread(middle, start) * whole, box)
            logits = look(model, tried)
            won = sure(logits, here.lead(logits))
            best = torch.where(spread(won, best).bool(), tried, best)
            low, high = torch.where(won, low, middle), torch.where(won, middle, high)
        found[index] = best
        return found


def _own(logits: Logits, goal: Goal) -> Labels:
    """What is to fall behind: the label, or whatever is ahead of the target."""
    if goal.targets is None:
        return goal.labels
    return logits.scatter(1, goal.targets[:, None], -torch.inf).argmax(1)


def _nearest(
    logits: Logits, points: Images, own: Labels, aims: Tensor, norm: str
) -> tuple[PerImage, Images]:
    """How far the class of the nearest plane is behind, and the gradient of its lead."""
    height = slope = nearest = None
    behind = logits.detach().gather(1, own[:, None]) - logits.detach().gather(1, aims)
    for last, (aim, below) in enumerate(zip(aims.T, behind.T, strict=True), 1 - aims.shape[1]):
        pull = torch.zeros_like(logits).scatter_(1, own[:, None], -1.0)
        pull.scatter_(1, aim[:, None], 1.0)
        (way,) = torch.autograd.grad(
            logits, points, pull, retain_graph=last < 0, allow_unused=True
        )
        if way is None:
            way = torch.zeros_like(points)
        far = below.abs() / size(way, DUAL[norm]).clamp_min(TINY)
        if nearest is None:
            height, slope, nearest = below, way, far
            continue
        nearer = far < nearest
        slope = torch.where(spread(nearer, way) > 0, way, slope)
        height, nearest = torch.where(nearer, below, height), torch.minimum(far, nearest)
    return height, slope


ATTACKS.register(
    "deepfool",
    paper="arXiv:1511.04599",
    summary="To the nearest of the linearised boundaries, until one is crossed",
)(DeepFool())

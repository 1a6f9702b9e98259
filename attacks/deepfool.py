"""DeepFool: to the nearest of the planes that the boundaries are to first order, in steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.goals import Goal, check_targets, likeliest
from attacks.gradients import ask, differentiable, misled, ordinary
from attacks.halfspace import reach
from attacks.landing import land
from attacks.minimal import TINY
from attacks.norms import PerImage, refuse, size, spread
from attacks.objectives import Logits, answered
from attacks.sides import Company, rounding, sure

DUAL = {"linf": "l1", "l2": "l2"}
LANDINGS = 2
LEAST = 1e-4
"""What the authors' code adds to a way; here not to the first, which is exact for a plane."""


@dataclass(frozen=True)
class DeepFool(MinimalNorm):
    """Moosavi-Dezfooli et al. 2016, algorithm 2 and equation 11: each boundary to one of the
    likeliest wrong classes is taken for the plane that it is to first order, and the point moves to
    the nearest one, until the goal is reached.

    Deviation: a point goes to the nearest one of the box where the plane's class would be ahead by
    `overshoot` of its lag; the paper knows no box, and multiplies the whole way in the end. The
    first point that reaches the goal may be far beyond the boundary, so that two landings follow.

    classes: how many wrong ones are looked at, a gradient each; with targets the target alone.
    """

    steps: int = 50
    classes: int = 9
    overshoot: float = 0.02
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
            images = ordinary(images)
            found = self._search(shown, images, goal, norm, box)
            for _ in range(LANDINGS):
                found = land(shown, images, goal, found, norm, box)
            return found

    def _search(self, model: Model, images: Images, goal: Goal, norm: str, box: Box) -> Images:
        """The first points that reach the goal; the images where none does."""
        aims = goal.labels[:, None]
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
            least = LEAST if step else 0.0
            at = self._beyond(at, height, slope, seen, least, norm, box)[going]
            index, goal, aims = index[going], goal[going], aims[going]
        return result

    def _aims(self, logits: Tensor, goal: Goal) -> Tensor:
        """The classes that are looked at for each image, [batch, classes]."""
        if goal.targets is not None:
            check_targets(goal.targets, goal.labels, logits.shape[1], "deepfool")
            return goal.targets[:, None]
        return likeliest(logits, goal.labels)[: self.classes].T

    def _beyond(
        self,
        at: Images,
        height: PerImage,
        slope: Images,
        logits: Logits,
        least: float,
        norm: str,
        box: Box,
    ) -> Images:
        """To beyond a plane that is `height` away, by more than the rounding of the logits."""
        way = height.clamp_min(0) + least * size(slope, DUAL[norm])
        return reach(at, slope, (1 + self.overshoot) * way + 2 * rounding(logits), norm, box)


def _own(logits: Logits, goal: Goal) -> Labels:
    """What is to fall behind: the label, or whatever is ahead of the target."""
    if goal.targets is None:
        return goal.labels
    return logits.scatter(1, goal.targets[:, None], -torch.inf).argmax(1)


def _nearest(
    logits: Logits, points: Images, own: Labels, aims: Tensor, norm: str
) -> tuple[PerImage, Images]:
    """How far the class of the nearest plane is behind, and the gradient of its lead."""
    height, slope = torch.zeros_like(logits[:, 0]), torch.zeros_like(points)
    height, slope = height.detach(), slope.detach()
    nearest = torch.full_like(height, torch.inf)
    behind = logits.detach().gather(1, own[:, None]) - logits.detach().gather(1, aims)
    for last, (aim, below) in enumerate(zip(aims.T, behind.T, strict=True), 1 - aims.shape[1]):
        pull = torch.zeros_like(logits).scatter_(1, own[:, None], -1.0)
        pull.scatter_(1, aim[:, None], 1.0)
        (way,) = torch.autograd.grad(logits, points, pull, retain_graph=last < 0, allow_unused=True)
        if way is None:
            way = torch.zeros_like(points)
        far = below.abs() / size(way, DUAL[norm]).clamp_min(TINY)
        nearer = far < nearest
        slope = torch.where(spread(nearer, way) > 0, way, slope)
        height, nearest = torch.where(nearer, below, height), torch.minimum(far, nearest)
    return height, slope


ATTACKS.register(
    "deepfool",
    paper="arXiv:1511.04599",
    summary="To the nearest of the linearised boundaries, until one is crossed",
)(DeepFool())

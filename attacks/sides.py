"""The two sides of a boundary: how far ahead the wanted answer is, and which way it gains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attacks.contracts import Images, Model
from attacks.goals import Goal
from attacks.gradients import ask, differentiable
from attacks.norms import PerImage, rows
from attacks.objectives import Logits, answered

SURE = 16
"""In units of the rounding of the largest logit."""

Mask = Bool[Tensor, " batch"]


@dataclass(frozen=True)
class Company:
    """A model that sees no image alone, unless it came so: batch norm in training mode, which has
    no statistics of one, refuses it. The last one left is shown twice.
    """

    model: Model
    count: int

    def __call__(self, images: Images) -> Logits:
        if len(images) > 1 or self.count == 1:
            return self.model(images)
        return self.model(images.expand(2, *images.shape[1:]))[:1]


@dataclass(frozen=True)
class Sides:
    """A model's answers, and the same apart. sign: 1 or, where there are targets, -1; own: the
    label or target; rest: the logits of all others, and minus infinity for `own`; lead: how far
    ahead the wanted answer is, minus infinity where a logit is not finite; won: where that is more
    than the rounding of the logits; known: where logits are finite, None where their sum is.
    """

    logits: Logits
    sign: float
    own: Int[Tensor, "batch 1"]
    rest: Logits
    lead: PerImage
    won: Mask
    known: Mask | None


def sides(goal: Goal, logits: Logits) -> Sides:
    """The sides of some answers."""
    own = (goal.labels if goal.targets is None else goal.targets)[:, None]
    rest = logits.scatter(1, own, -torch.inf)
    lead, sign = rest.amax(1).sub_(logits.gather(1, own)[:, 0]), 1.0
    if goal.targets is not None:
        lead, sign = lead.neg_(), -1.0
    known = None
    if not math.isfinite(logits.sum()):
        known = answered(logits)
        lead = torch.where(known, lead, -torch.inf)
    return Sides(logits, sign, own, rest, lead, sure(logits, lead), known)


def pull(of: Sides) -> Logits:
    """The gradient of the lead: 1 for the wanted class that is ahead, -1 for what it is ahead of
    (the first of several that are level).
    """
    ahead = torch.zeros_like(of.rest).scatter_(1, of.rest.argmax(1, keepdim=True), of.sign)
    return ahead.scatter_(1, of.own, -of.sign)


def soft_pull(of: Sides) -> Logits:
    """The gradient of `Goal.rise`: the rivals in proportion to their probabilities."""
    return of.rest.softmax(1).mul_(of.sign).scatter_(1, of.own, -of.sign)


def sure(logits: Logits, leads: PerImage) -> Mask:
    """Where a lead is more than the rounding of its logits."""
    return leads > rounding(logits)


def rounding(logits: Logits) -> PerImage:
    """A lead of no more than this might be lost in another batch."""
    return logits.abs().amax(1).mul_(SURE * torch.finfo(logits.dtype).eps)


def sloped(
    model: Model,
    images: Images,
    apart: Callable[[Logits], Sides],
    pulled: Callable[[Sides], Logits] = pull,
) -> tuple[Images, Sides]:
    """The gradient of what is pulled of the sides, and these; 0 where a logit is not finite, and of
    a model that cuts the graph.
    """
    with differentiable():
        points = images.detach().requires_grad_()
        logits = ask(model, points)
    of, slope = apart(logits.detach()), None
    weights = pulled(of)
    if logits.requires_grad:
        (slope,) = torch.autograd.grad(logits, points, weights, allow_unused=True)
    if slope is None:
        return torch.zeros_like(images), of
    return slope if of.known is None else torch.where(rows(of.known, slope), slope, 0.0), of

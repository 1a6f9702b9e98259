"""Primal-dual proximal gradient descent in l1: the weight of the constraint is learned as well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.adam import Adam
from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.minimal import Rule, Walk, clamped, walk, width
from attacks.norms import refuse, spread

ADAM = Adam()
KEPT, LEAST = 0.9, 1e-6
"""The share of the last weights in their moving average; the least of the two over the other."""


@dataclass(frozen=True)
class Pdpgd(MinimalNorm):
    """Matyasko and Chau 2021, algorithm 2, in l1: descent on |x' - x| and ascent on the weight of
    the softplus of minus the lead, which rises where the goal is missed and falls where it is
    reached. A step of Adam on the softplus, into the box, then the proximal step of the distance
    in Adam's metric, and again into the box.

    Deviation: that proximal step has a closed form, pixel by pixel, which the authors approach by
    five of its own. length: of a step, in units of the box (the authors' is .1, for 500 steps); it
    falls to a hundredth. ratio: of the distance's weight over the other's at the start. pace: of
    the weights, which falls to a tenth.

    iterations: points an image, with a gradient at each but the last.
    """

    iterations: int = 200
    length: float = 0.5
    ratio: float = 0.01
    pace: float = 0.1
    norms: ClassVar[tuple[str, ...]] = ("l1",)

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
        refuse(norm, self.norms, "pdpgd")
        return walk(model, images, labels, targets, _PrimalDual(self, box), self.iterations)


@dataclass(frozen=True)
class _PrimalDual(Rule):
    plan: Pdpgd
    box: Box
    who: str = "pdpgd"
    norm: str = "l1"

    def begin(self, on: Walk) -> dict[str, Tensor]:
        log = torch.full_like(on.far, -math.log(self.plan.ratio))
        return {"log": log, "share": log.sigmoid(), **ADAM.begin(on.images)}

    def move(self, on: Walk, progress: float) -> Images:
        memory, plan = on.memory, self.plan
        length = plan.length * 0.01**progress * width(self.box)
        falling = on.slope.mul_(-spread(torch.sigmoid(-on.lead), on.slope))
        way, below = ADAM.take(memory, falling)
        moved = clamped(on.offset.sub_(way, alpha=length).add_(on.images), self.box)
        moved.sub_(on.images)
        weight = spread((1 - memory["share"]) / memory["share"] * length, moved)
        shrunk = (moved.abs() - weight / below).clamp_min_(0).copysign_(moved)
        self._weigh(on, progress)
        return clamped(shrunk.add_(on.images), self.box)

    def _weigh(self, on: Walk, progress: float) -> None:
        pace = self.plan.pace * ((1 - progress) * 0.9 + 0.1)
        most = -math.log(LEAST)
        log = on.memory["log"] + torch.where(on.won, -pace, pace)
        on.memory["log"] = log = log.clamp(-most, most)
        on.memory["share"] = KEPT * on.memory["share"] + (1 - KEPT) * log.sigmoid()


ATTACKS.register(
    "pdpgd",
    paper="arXiv:2106.01538",
    summary="Descent on the distance, ascent on the weight of the constraint",
    known_issue="the-scale-of-two-logits-does-not-matter[l1-0.01]: the weights are in units of the "
    "logits, and 40 iterations do not come to those of small ones",
)(Pdpgd())

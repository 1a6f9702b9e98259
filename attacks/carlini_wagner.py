"""Carlini and Wagner's attack in l2: the distance and a hinge on the lead, weighed by a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.adam import Adam
from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.minimal import Rule, Walk, walk
from attacks.norms import refuse, spread
from attacks.sides import Mask

ADAM = Adam()
WIDER = 1 + 1e-3
"""Over the range of the box, that of the tangent: at the end of its own it is flat, and a pixel
there would not move for dozens of steps. What leaves the box is clipped.
"""
TIMES, LARGEST, PROGRESS, LOOK = 10.0, 1e10, 0.99, 10


@dataclass(frozen=True)
class CarliniWagner(MinimalNorm):
    """Carlini and Wagner 2017, section V: Adam on |x' - x|^2 + c max(-lead, 0), x' in the box by a
    hyperbolic tangent; `tries` times for each image, c ten times as large after a failure until
    there was a success, then halfway between the largest that failed and the smallest that did not.
    The nearest x' met on the way that reaches the goal is returned.

    iterations: of one try, a gradient each, at most: after each tenth of them, and ten at least, an
    image whose objective has not fallen by 1 % goes on to the next c by itself (the authors' code
    asks for .01 % of the sum over the batch; the landing makes up for the rest). length: Adam's, in
    the space of the tangent (theirs is .01, for 10,000 steps). weight: the first c. Without a box
    there is no tangent.
    """

    iterations: int = 100
    tries: int = 9
    length: float = 0.1
    weight: float = 0.01
    norms: ClassVar[tuple[str, ...]] = ("l2",)

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
        refuse(norm, self.norms, "carlini-wagner")
        most = 1 + self.iterations * self.tries
        return walk(model, images, labels, targets, _Weighed(self, _Tangent(box), box), most)


@dataclass(frozen=True)
class _Tangent:
    """Between pixels and numbers without bounds."""

    box: Box

    def free(self, images: Images) -> Images:
        if self.box is None:
            return images
        low, high = self.box
        return (2 * images - low - high).div_(WIDER * (high - low)).atanh_()

    def pixels(self, free: Images) -> tuple[Images, Images]:
        """The images, and how fast they move with the free numbers."""
        if self.box is None:
            return free.clone(), torch.ones_like(free)
        low, high = self.box
        bent, half = free.tanh(), WIDER * (high - low) / 2
        speed = torch.addcmul(bent.new_full((1,), half), bent, bent, value=-half)
        return bent.mul_(half).add_((low + high) / 2).clamp_(low, high), speed

    def speed(self, free: Images) -> Images:
        """How fast they move."""
        return self.pixels(free)[1]


@dataclass(frozen=True)
class _Weighed(Rule):
    plan: CarliniWagner
    tangent: _Tangent
    box: Box
    who: str = "carlini-wagner"
    norm: str = "l2"

    def begin(self, on: Walk) -> dict[str, Tensor]:
        free, none = self.tangent.free(on.images), torch.zeros_like(on.far)
        return {
            "origin": free,
            "free": free.clone(),
            "speed": self.tangent.speed(free),
            "slope": on.slope.clone(),
            "lead": on.lead,
            "weight": none + self.plan.weight,
            "low": none,
            "high": none + torch.inf,
            "tried": none,
            "found": none > 0,
            "least": none + torch.inf,
            "least_then": none + torch.inf,
            **ADAM.begin(on.images),
        }

    def move(self, on: Walk, progress: float) -> Images:
        memory = on.memory
        pulled = torch.where(on.lead < 0, memory["weight"], 0.0)
        slope = on.offset.mul_(2).addcmul_(on.slope, spread(pulled, on.slope), value=-1)
        way, _ = ADAM.take(memory, slope.mul_(memory["speed"]))
        free = memory["free"].sub_(way, alpha=self.plan.length)
        points, memory["speed"] = self.tangent.pixels(free)
        return points

    def over(self, on: Walk) -> Mask | None:
        """Images whose last try is over; another is begun for those whose present one is."""
        memory, tenth = on.memory, max(self.plan.iterations // 10, LOOK)
        memory["found"] = memory["found"] | on.won
        objective = torch.addcmul(memory["weight"] * (-on.lead).clamp_min_(0), on.far, on.far)
        memory["least"] = torch.minimum(memory["least"], objective)
        looked, last = memory["count"] % tenth == 0, memory["count"] >= self.plan.iterations
        if not bool((looked | last).any()):
            return None
        stalled = looked & (memory["least"] > PROGRESS * memory["least_then"])
        memory["least_then"] = torch.where(looked, memory["least"], memory["least_then"])
        done = stalled | last
        memory["tried"] = memory["tried"] + done
        if bool(done.any()):
            self._again(on, done)
        return (memory["tried"] >= self.plan.tries) | (memory["weight"] > LARGEST)

    def _again(self, on: Walk, done: Mask) -> None:
        """From the image, with another c."""
        memory = on.memory
        low, high, weight = (memory[name] for name in ("low", "high", "weight"))
        memory["high"] = high = torch.where(done & memory["found"], weight, high)
        memory["low"] = low = torch.where(done & ~memory["found"], weight, low)
        other = torch.where(high < torch.inf, (low + high) / 2, weight * TIMES)
        memory["weight"] = torch.where(done, other, weight)
        memory["found"] = memory["found"] & ~done
        for name in ("least", "least_then"):
            memory[name] = torch.where(done, torch.inf, memory[name])
        ADAM.restart(memory, done)
        memory["free"][done] = memory["origin"][done]
        memory["speed"][done] = self.tangent.speed(memory["origin"][done])
        on.slope[done], on.offset[done] = memory["slope"][done], 0.0
        on.lead = torch.where(done, memory["lead"], on.lead)


ATTACKS.register(
    "carlini-wagner",
    paper="arXiv:1608.04644",
    summary="The distance and a hinge on the lead, their weight searched for each image",
)(CarliniWagner())

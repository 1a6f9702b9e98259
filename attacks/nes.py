"""Natural evolution strategies: a gradient estimated from scores, and steps along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import (
    ATTACKS,
    UNIT,
    Box,
    FixedBudget,
    Images,
    Labels,
    Model,
    Radius,
    Seeds,
    Stop,
)
from attacks.engine import logits_of
from attacks.goals import Goal
from attacks.norms import into_box, project, refuse, steepest
from attacks.objectives import answered
from attacks.radii import moving
from attacks.streams import normal
from bench.core.errors import UsageError

FEWEST = 10
"""Of how many queries one pair goes into an estimate, at most."""
GROUP = 5
"""Pairs of points of an image that are asked about at once."""


@dataclass(frozen=True)
class Nes(FixedBudget):
    """Ilyas et al. 2018, sections 2.1.1 and 2.1.2; `queries` forwards an image, no gradient.

    A gradient is the mean over `pairs` Gaussian directions u of (J(x + sigma u) - J(x - sigma u))
    u / (2 sigma), and the velocity takes it in with the weight 1 - `momentum`. J is log((1 - p) /
    p) of the label, where the paper takes log p of a target: with `targets` it is that of the
    target, negated. A step is `step_size` radii long and put back into the ball and the box; one
    query looks at where it leads, and the best point by its lead is returned. An estimate takes a
    pair for every 10 queries at most, so that there are several steps; 3 make one.
    """

    queries: int = 1000
    pairs: int = 20
    sigma: float = 0.01
    step_size: float = 0.1
    momentum: float = 0.5
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def __post_init__(self) -> None:
        if self.sigma <= 0:
            raise UsageError(f"sigma: expected a length above 0, got {self.sigma}")

    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        radius: Radius,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        stop: Stop = "never",
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "nes")

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            index = torch.arange(len(x), device=x.device)
            on = _Climbers(index, x, goal, radii, drawn, x, torch.zeros_like(x))
            with torch.no_grad():
                return self._climb(model, on, norm, box, stop)

        return moving(attack, images, Goal(labels, targets), radius, seeds)

    def _climb(self, model: Model, on: _Climbers, norm: str, box: Box, stop: Stop) -> Images:
        best = on.at.clone()
        leads = on.goal.lead(logits_of(model, on.at))
        pairs = max(min(self.pairs, self.queries // FEWEST), 1)
        for step in range((self.queries - 1) // (2 * pairs + 1)):
            if stop == "first_success":
                on = on.only(leads[on.index] <= 0)
            if not len(on.index):
                break
            slope = self._slope(model, on, pairs, step)
            on.velocity = self.momentum * on.velocity + (1 - self.momentum) * slope
            moved = steepest(on.at, on.velocity, self.step_size * on.radius, norm, None)
            inside = on.images + project(moved - on.images, on.radius, norm)
            on.at = into_box(inside, box)
            found = on.goal.lead(logits_of(model, on.at))
            better = found > leads[on.index]
            best[on.index[better]], leads[on.index[better]] = on.at[better], found[better]
        return best

    def _slope(self, model: Model, on: _Climbers, pairs: int, step: int) -> Images:
        """The estimated gradient, up to a positive factor."""
        slope = torch.zeros_like(on.at)
        for number in range(-(-pairs // GROUP)):
            count = min(GROUP, pairs - number * GROUP)
            ways = normal(on.seeds, (count, *on.at.shape[1:]), step, number).to(on.at.dtype)
            both = torch.stack([ways, -ways], 1)
            points = (on.at[:, None, None] + self.sigma * both).flatten(0, 2)
            logits = logits_of(model, points)
            every = torch.arange(len(on.at), device=on.at.device).repeat_interleave(2 * count)
            heights = on.goal[every].rise(logits)
            heights = torch.where(answered(logits), heights, 0.0).reshape(-1, 2, count)
            gains = (heights[:, 0] - heights[:, 1]).to(ways.dtype)
            slope += (gains.reshape(*gains.shape, *[1] * (ways.ndim - 2)) * ways).sum(1)
        return slope


@dataclass
class _Climbers:
    """The images still climbing; one batch."""

    index: Tensor
    images: Images
    goal: Goal
    radius: Tensor
    seeds: Seeds
    at: Images
    velocity: Images

    def only(self, kept: Tensor) -> _Climbers:
        return _Climbers(*(value[kept] for value in vars(self).values()))


ATTACKS.register(
    "nes",
    paper="arXiv:1804.08598",
    summary="Gradients estimated from scores by antithetic noise, a black box",
    gradients=False,
    draws=True,
    aims=True,
)(Nes())

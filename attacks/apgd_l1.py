"""Auto-PGD's rule in l1: steps on few pixels, the fewer the fewer have changed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.autopgd import Climbers, Rule, put_back
from attacks.contracts import Box, Images, Seeds
from attacks.l1ball import changed, few_steepest, within
from attacks.streams import normal

FIRST, FEWER, SHORTER, LEAST, SAME, EVERY = 0.2, 1.5, 1.5, 10.0, 0.95, 0.04


@dataclass(frozen=True)
class Sparse(Rule):
    """Croce and Hein 2021, algorithm 2: an l1 length spread evenly over the largest gradients, then
    the projection into the ball within the box, without momentum. After each .04 of the steps the
    next ones touch 1 / 1.5 of the pixels that the best iterate has changed; where these are as many
    as the last time the length falls, to a tenth of the radius at least; otherwise it is the radius
    again, from the best iterate. At first a fifth of the pixels is touched. Deviation: pixels that
    would leave the box are passed over, not stepped on and projected back.
    """

    def start(self, images: Images, radius: Tensor, seeds: Seeds, restart: int, box: Box) -> Images:
        drawn = normal(seeds, tuple(images.shape[1:]), restart).to(images.dtype)
        return within(images, drawn, radius, box)

    def inside(self, images: Images, points: Images, radius: Tensor, box: Box) -> Images:
        return within(images, points - images, radius, box)

    def begin(self, on: Climbers, fresh: bool) -> None:
        count = changed(on.at - on.images)
        pixels = torch.full_like(count, on.images.shape[1:].numel())
        on.length = on.radius
        on.active, on.active_then = (FIRST * pixels, pixels) if fresh else (count / FEWER, count)

    def marks(self, steps: int) -> set[int]:
        every = max(1, int(EVERY * steps))
        return set(range(every, steps + 1, every))

    def step(self, on: Climbers, box: Box, first: bool) -> Images:
        moved = few_steepest(on.at, on.slope, on.active, on.length, box)
        return self.inside(on.images, moved, on.radius, box)

    def look(self, on: Climbers, steps: int) -> None:
        count = changed(on.best - on.images)
        same = count >= SAME * on.active_then
        shorter = torch.maximum(on.length / SHORTER, on.radius / LEAST)
        on.length = torch.where(same, shorter, on.radius)
        on.active, on.active_then = count / FEWER, count
        put_back(on, ~same)

"""Iterative methods for surrogates, whose images are to mislead other networks as well.

One engine: steepest ascent with momentum along a gradient that is made less particular to the
network, by looking ahead, by transforming the input, by blurring, or by asking the neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from attacks.diversity import diverse
from attacks.goals import Goal, slope
from attacks.gradients import look
from attacks.iterative import Keep
from attacks.norms import into_box, project, refuse, spread, steepest, unit
from attacks.pgd import starts
from attacks.pixels import as_pixels
from attacks.radii import moving
from bench.core.errors import UsageError

SIGMAS = 3.0
"""Where a blurring kernel ends, in standard deviations (Dong et al. 2019, section 4.1)."""


@dataclass(frozen=True)
class Transfer(FixedBudget):
    """MI-FGSM (Dong et al. 2018, algorithm 1) with one or more of four changes of its gradient.

    `steps` steps of `step_size` radii from the image itself, along a velocity that keeps `decay` of
    itself and takes in each gradient at a mean absolute value of 1 (linf, as the papers' codes do)
    or a length of 1 (l2). lookahead: the gradient is taken a step ahead along the velocity (Lin et
    al. 2020, equation 6). diversity: with this probability the input is shrunk to `smallest` or
    more, and padded (Xie et al. 2019). kernel: the gradient is blurred by a Gaussian of so many
    pixels, an odd number (Dong et al. 2019, equation 7); 0 for none. neighbours: so many points
    within `beta` radii, uniform in the ball, whose mean gradient less its own at the last step is
    added (Wang and He 2021, algorithm 1). The objective is log((1 - p) / p) in the place of
    cross-entropy.

    keep: the "last" iterate, as in the papers, or the "best" by its lead, which costs a forward a
    step. Diversity and blur need images with rows and columns. Raises UsageError for others, an
    even kernel, and an unknown norm.
    """

    steps: int = 10
    step_size: float = 0.1
    decay: float = 1.0
    lookahead: bool = False
    diversity: float = 0.0
    smallest: float = 0.9
    kernel: int = 0
    neighbours: int = 0
    beta: float = 1.5
    keep: Keep = "last"
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def __post_init__(self) -> None:
        if self.kernel and self.kernel % 2 == 0:
            raise UsageError(f"kernel: expected an odd number of pixels, or 0, got {self.kernel}")

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
        refuse(norm, self.norms, "an attack for transfer")

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            still = torch.zeros_like(x)
            index = torch.arange(len(x), device=x.device)
            on = _Climbers(index, x, goal, radii, drawn, x, still, still)
            return self._climb(model, on, norm, box, stop)

        return moving(attack, images, Goal(labels, targets), radius, seeds)

    def _climb(self, model: Model, on: _Climbers, norm: str, box: Box, stop: Stop) -> Images:
        result = on.at.clone()
        heights = torch.full_like(on.radius, -torch.inf)
        watched = stop == "first_success" or self.keep == "best"
        for step in range(self.steps + 1):
            if watched:
                height = on.goal.lead(look(model, on.at))
                better = height > heights[on.index] if self.keep == "best" else height == height
                result[on.index[better]] = on.at[better]
                heights[on.index[better]] = height[better].to(heights)
                if stop == "first_success":
                    on = on.only(height <= 0)
            if step == self.steps or not len(on.index):
                break
            on = self._step(model, on, step, norm, box)
        if not watched:
            result[on.index] = on.at
        return result

    def _step(self, model: Model, on: _Climbers, step: int, norm: str, box: Box) -> _Climbers:
        length = self.step_size * on.radius
        here = on.at
        if self.lookahead:
            here = here + spread(self.decay * length, here) * on.velocity
        own = self._gradient(model, here, on, step, 0)
        way, variance = own + on.variance, on.variance
        if self.neighbours:
            variance = self._around(model, on, norm, step) - own
        if self.kernel:
            way = blurred(way, self.kernel)
        velocity = self.decay * on.velocity + _level(way, norm)
        moved = steepest(on.at, velocity, length, norm, None)
        inside = on.images + project(moved - on.images, on.radius, norm)
        return replace(on, at=into_box(inside, box), velocity=velocity, variance=variance)

    def _gradient(
        self, model: Model, points: Images, on: _Climbers, step: int, draw: int
    ) -> Images:
        def seen(x: Tensor) -> Tensor:
            if not self.diversity:
                return model(x)
            given = {"probability": self.diversity, "smallest": self.smallest}
            pixels = diverse(as_pixels(x, "input diversity"), on.seeds, step, draw, **given)
            return model(pixels.reshape(x.shape))

        return slope(seen, points, on.goal)[0]

    def _around(self, model: Model, on: _Climbers, norm: str, step: int) -> Images:
        """The mean gradient of random neighbours."""
        total = torch.zeros_like(on.at)
        for draw in range(1, self.neighbours + 1):
            number = step * self.neighbours + draw
            near = starts(on.at, self.beta * on.radius, norm, on.seeds, number, None)
            total = total + self._gradient(model, near, on, step, draw)
        return total / self.neighbours


@dataclass(frozen=True)
class _Climbers:
    """The images still climbing, and where they stand; the fields have one batch."""

    index: Tensor
    images: Tensor
    goal: Goal
    radius: Tensor
    seeds: Tensor
    at: Tensor
    velocity: Tensor
    variance: Tensor

    def only(self, kept: Tensor) -> _Climbers:
        return _Climbers(*(value[kept] for value in vars(self).values()))


def _level(slope: Images, norm: str) -> Images:
    """The slope at a mean absolute value of 1, in l2 at length 1; zero stays zero."""
    if norm == "l2":
        return unit(slope, norm)
    return unit(slope, "l1") * slope.shape[1:].numel()


def blurred(slope: Images, kernel: int) -> Images:
    """Each channel convolved with a Gaussian of `kernel` x `kernel` pixels, zeros around it."""
    ends = torch.linspace(-SIGMAS, SIGMAS, kernel, dtype=slope.dtype, device=slope.device)
    weights = (-ends.square() / 2).exp()
    weights = weights / weights.sum()
    pixels = as_pixels(slope, "the translation-invariant gradient")
    for axis in (2, 3):
        around = torch.nn.functional.pad(pixels, [kernel // 2] * 2 * (4 - axis))
        around = around if axis == 3 else around[..., kernel // 2 : -(kernel // 2) or None]
        size = pixels.shape[axis]
        shifted = [w * around.narrow(axis, k, size) for k, w in enumerate(weights)]
        pixels = torch.stack(shifted).sum(0)
    return pixels.reshape(slope.shape)


LINEAR = "climbers-reach-the-optimum-of-a-linear-model"

ATTACKS.register(
    "ni-fgsm",
    paper="arXiv:1908.06281",
    summary="Nesterov's momentum: the gradient a step ahead",
    aims=True,
)(Transfer(lookahead=True))

ATTACKS.register(
    "di-fgsm",
    paper="arXiv:1803.06978",
    summary="Input diversity: gradients of images resized and padded at random",
    exempt=f"{LINEAR}: it climbs for the mean of shrunk images",
    draws=True,
    aims=True,
)(Transfer(diversity=0.5))

ATTACKS.register(
    "ti-fgsm",
    paper="arXiv:1904.02884",
    summary="Translation-invariant: the gradient is blurred",
    exempt=f"{LINEAR}: its gradient is blurred",
    aims=True,
)(Transfer(kernel=7))

ATTACKS.register(
    "vmi-fgsm",
    paper="arXiv:2103.15571",
    summary="Variance tuning: what the neighbours' gradients add",
    draws=True,
    aims=True,
)(Transfer(neighbours=20))

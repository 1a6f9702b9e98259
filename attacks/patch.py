"""The adversarial patch: a picture that is taken for the target wherever it lies in an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attacks.contracts import Labels, Model, Seeds
from attacks.gradients import ask, differentiable, ordinary
from attacks.norms import PerImage, into_box
from attacks.objectives import entropy
from attacks.pixels import Pixels
from attacks.streams import uniform
from attacks.warps import places, sampled
from bench.core.errors import UsageError

Patch = Float[Tensor, "channels side side"]
Numbers = tuple[PerImage, PerImage, PerImage, PerImage]
"""Scale, degrees, and the middle: pixels down and across."""


@dataclass(frozen=True)
class Placing:
    """How a patch lies in an image: what the expectation over transformations is taken of.

    area: the share of the image that it covers at scale 1, before its side is rounded to whole
    pixels; a disc fits up to pi / 4. scales: the range of its side's length, degrees: how far it is
    turned either way, both uniform. place: of the room that is left down and across, shares;
    None for anywhere, whole pixels. Raises UsageError for what no patch has.
    """

    area: float = 0.1
    shape: Literal["disc", "square"] = "disc"
    scales: tuple[float, float] = (0.9, 1.0)
    degrees: float = 22.5
    place: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        most = math.pi / 4 if self.shape == "disc" else 1.0
        if not 0 <= self.area <= most:
            raise UsageError(f"area: expected a share from 0 to {most:.4g}, got {self.area:g}")
        if not 0 < self.scales[0] <= self.scales[1]:
            raise UsageError(f"scales: expected two above 0 in rising order, got {self.scales}")

    def side(self, height: int, width: int) -> int:
        """Of a patch for such images, in pixels; the diameter of a disc."""
        covered = self.area * height * width
        return round(math.sqrt(covered * (4 / math.pi if self.shape == "disc" else 1)))


def apply(images: Pixels, patch: Patch, seeds: Seeds, placing: Placing, *purpose: int) -> Pixels:
    """The images with the patch on each, where its seed says; pixels outside are as they were.

    `purpose` tells draws apart. A gradient passes to the patch.
    """
    if not patch.shape[-1]:
        return images.clone()
    numbers = _drawn(images, patch.shape[-1], seeds, placing, purpose)
    return laid(images, patch, placing.shape, numbers)


def laid(images: Pixels, patch: Patch, shape: str, numbers: Numbers) -> Pixels:
    """The same by given numbers. Upright, at scale 1 and on whole pixels the patch is undistorted;
    elsewhere it is bilinear between its own pixels, the outermost of which go on to its edge.
    """
    scale, degrees, down, across = numbers
    height, width = images.shape[2:]
    at = places(height, width, degrees, down, across) / scale[:, None, None, None]
    half = patch.shape[-1] / 2
    inside = _inside(at, shape, half)[:, None]
    at = at.clamp(0.5 - half, half - 0.5)
    shown = sampled(patch.expand(len(images), *patch.shape), at)
    return torch.where(inside, shown, images)


def _inside(at: Tensor, shape: str, half: float) -> Bool[Tensor, "batch height width"]:
    if shape == "square":
        return at.abs().amax(3) <= half
    return at.square().sum(3) <= half * half


def _drawn(
    images: Pixels, side: int, seeds: Seeds, placing: Placing, purpose: tuple[int, ...]
) -> Numbers:
    """The numbers of each image; the middle is such that the upright patch lies inside."""
    drawn = uniform(seeds, (4,), *purpose).to(images.dtype)
    low, high = placing.scales
    scale = low + (high - low) * drawn[:, 0]
    degrees = placing.degrees * (2 * drawn[:, 1] - 1)
    middle = []
    for axis, length in enumerate(images.shape[2:]):
        room = max(length - side, 0)
        start = (drawn[:, 2 + axis] * (room + 1)).floor().clamp_max(room)
        if placing.place is not None:
            start = torch.full_like(start, round(placing.place[axis] * room))
        middle.append(start + side / 2)
    return scale, degrees, middle[0], middle[1]


@dataclass(frozen=True)
class Fitting:
    """How a patch is found: Adam at `rate` on its pixels, `steps` steps, `batch` images each."""

    steps: int = 300
    rate: float = 0.05
    batch: int = 64


def fit(
    model: Model,
    images: Pixels,
    labels: Labels,
    *,
    target: int,
    placing: Placing,
    seeds: Seeds,
    fitting: Fitting | None = None,
    box: tuple[float, float] = (0.0, 1.0),
) -> Patch:
    """Brown et al. 2017, equation 1: the patch that raises the mean of log p(target) over images,
    places, scales and rotations, each image's anew at every step; from the middle of the box.

    Images of the target class are left out. The model's parameters are left alone. Raises
    UsageError where no image is left.
    """
    others = ordinary(labels) != target
    images, seeds = ordinary(images)[others], ordinary(seeds)[others]
    if not len(images):
        raise UsageError(
            f"a patch needs images of other classes than its target, {target}: got none"
        )
    plan = fitting or Fitting()
    side = placing.side(*images.shape[2:])
    with differentiable():
        grey = images.new_full((images.shape[1], side, side), (box[0] + box[1]) / 2)
        patch = grey.requires_grad_()
        optimiser = torch.optim.Adam([patch], plan.rate)
        for step in range(plan.steps if side else 0):
            some = uniform(seeds, (), step, 1).argsort(stable=True)[: plan.batch]
            shown = apply(images[some], patch, seeds[some], placing, step, 2)
            logits = ask(model, shown)
            aims = torch.full_like(some, target)
            (patch.grad,) = torch.autograd.grad(entropy(logits, aims).mean(), patch)
            optimiser.step()
            patch.data = into_box(patch.data, box)
    return patch.detach()

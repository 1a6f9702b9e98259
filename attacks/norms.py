"""The geometry of attacks: sizes, projections into a ball or a box, and steepest steps.

Everything is per image: [batch, ...] in, [batch] or [batch, ...] out.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attacks.contracts import Box, Images, Norm, Radius
from bench.core.errors import unknown

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1", "l0")

PerImage = Float[Tensor, " batch"]
"""A number for each image."""


def refuse(norm: str, known: tuple[str, ...], who: str) -> None:
    """Raise UsageError for a norm that is not among the known ones."""
    if norm not in known:
        raise unknown("norm", norm, known, f"({who} knows these)")


def size(difference: Images, norm: str) -> PerImage:
    """The norm of each difference. Raises UsageError for an unknown norm."""
    refuse(norm, NORMS, "attacks")
    flat = difference.flatten(1)
    if norm == "l0":
        return flat.sign().abs_().sum(1)
    if norm == "l2":
        return torch.linalg.vector_norm(flat, 2, dim=1)
    sizes = flat.abs()
    return sizes.amax(1) if norm == "linf" else sizes.sum(1)


def spread(values: Radius, like: Images) -> Tensor:
    """A number, or one for each image, as something that multiplies images."""
    if not isinstance(values, Tensor):
        return torch.tensor(values, dtype=like.dtype, device=like.device)
    return values.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def rows(chosen: Bool[Tensor, " batch"], like: Images) -> Tensor:
    """Chosen images, as something that chooses among all of their pixels."""
    return chosen.reshape(-1, *[1] * (like.ndim - 1))


def into_box(images: Images, box: Box) -> Images:
    """Pixels clipped to the box; as they are where there is none."""
    return images if box is None else images.clamp(*box)


def unit(direction: Images, norm: str) -> Images:
    """Each direction at length 1; zero stays zero.

    Squares of what is below 1e-22 vanish in float32, and those of what is above 1e19 are infinite:
    a power of two, which changes no digit, brings the largest entry to about 1 first.
    """
    scaled = direction * spread(_power(size(direction, "linf")), direction)
    length = spread(size(scaled, norm), direction)
    return torch.where(length > 0, scaled / length.clamp_min(TINIEST), 0.0)


TINIEST = 1e-38
LARGEST_POWER = 120
"""Of two, that float32 has on either side of 1 with room to spare."""


def _power(peaks: PerImage) -> PerImage:
    """The power of two that brings each to between 1/2 and 1, as far as float32 has it."""
    exponents = torch.frexp(peaks).exponent.clamp(-LARGEST_POWER, LARGEST_POWER)
    return torch.ldexp(torch.ones_like(peaks), -exponents)


def project(difference: Images, radius: Radius, norm: str) -> Images:
    """The nearest difference (in the Euclidean sense) within the radius; inner ones are untouched.

    Raises UsageError for l0, whose ball is not convex.
    """
    refuse(norm, ("linf", "l2", "l1"), "projection")
    limit = spread(radius, difference)
    if norm == "linf":
        return torch.minimum(torch.maximum(difference, -limit), limit)
    length = spread(size(difference, norm), difference)
    if norm == "l2":
        return difference * (limit / length.clamp_min(TINIEST)).clamp_max(1)
    shrunk = difference.sign() * (difference.abs() - _threshold(difference, limit)).clamp_min(0)
    return torch.where(length <= limit, difference, shrunk)


def _threshold(difference: Images, limit: Tensor) -> Tensor:
    """What to take off every absolute value so that they sum to the limit (Duchi et al. 2008)."""
    flat = difference.flatten(1).abs().double()
    ordered = flat.sort(dim=1, descending=True).values
    budget = limit.double().reshape(-1, 1).expand(len(flat), 1)
    excess = (ordered.cumsum(1) - budget) / torch.arange(1, flat.shape[1] + 1, device=flat.device)
    kept = (ordered > excess).sum(1, keepdim=True).clamp_min(1)
    threshold = excess.gather(1, kept - 1).clamp_min(0)
    return spread(threshold[:, 0], difference)


def steepest(images: Images, ascent: Images, radius: Radius, norm: str, box: Box) -> Images:
    """Where a linear function with gradient `ascent` grows most within the radius; then clipped.

    linf: the sign of the gradient. l2: along the gradient. l1: the whole budget on the largest
    gradients, each pixel up to the end of the box before the next one, so that nothing is clipped
    away; without a box all on one. Where the gradient is 0 nothing moves.
    """
    refuse(norm, ("linf", "l2", "l1"), "steepest ascent")
    if norm == "l1":
        return _fill(images, ascent, radius, box)
    return moved(images, heading(ascent, norm), radius, box)


def heading(ascent: Images, norm: str) -> Images:
    """The steepest direction at length 1: the sign of the gradient in linf; in l1, where it depends
    on the radius, the gradient as it is.
    """
    if norm == "linf":
        return ascent.sign()
    return unit(ascent, norm) if norm == "l2" else ascent


def moved(images: Images, way: Images, radius: Radius, box: Box) -> Images:
    """The images, `radius` times a direction further, clipped; little memory is touched."""
    there = (spread(radius, images) * way).add_(images)
    return there if box is None else there.clamp_(*box)


def _fill(images: Images, ascent: Images, radius: Radius, box: Box) -> Images:
    """Spend an l1 budget on the largest gradients first."""
    slope, flat = ascent.flatten(1), images.flatten(1)
    budget = spread(radius, flat).expand(len(flat), 1)
    if box is None:
        room = torch.full_like(flat, torch.inf)
    else:
        room = torch.where(slope > 0, box[1] - flat, flat - box[0]).clamp_min(0)
    room = torch.where(slope == 0, 0.0, torch.minimum(room, budget))
    order = slope.abs().argsort(dim=1, descending=True, stable=True)
    ordered = room.gather(1, order)
    spent_before = ordered.cumsum(1) - ordered
    taken = torch.minimum(ordered, (budget - spent_before).clamp_min(0))
    moved = torch.zeros_like(flat).scatter(1, order, taken)
    return into_box((flat + slope.sign() * moved).reshape(images.shape), box)

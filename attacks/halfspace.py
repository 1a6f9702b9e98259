"""The nearest point of a half-space within the box, in linf, l2 and l1."""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.contracts import Box, Images
from attacks.norms import PerImage, into_box, refuse


def reach(images: Images, slope: Images, gain: PerImage, norm: str, box: Box) -> Images:
    """The point of the box nearest to each image at which a linear function of this slope has grown
    by `gain`; where the box does not let it, the end of the way. Nothing moves for a gain of 0 or
    less (Croce and Hein 2020, arXiv:1907.02044, section 2.3).

    Pixels move along the sign of their slope (linf), in proportion to it (l2) or the steepest
    first (l1), each until the end of the box. What is gained grows piecewise linearly on the way,
    and its corners are sorted.
    """
    refuse(norm, ("linf", "l2", "l1"), "a half-space")
    start, way = images.flatten(1), slope.flatten(1)
    room = torch.full_like(start, torch.inf)
    if box is not None:
        room = torch.where(way > 0, box[1] - start, start - box[0]).clamp_min(0)
    steep, wanted = way.abs().double(), gain.double()[:, None].clamp_min(0)
    if norm == "l1":
        moves = _one_by_one(steep, room.double(), wanted)
    else:
        moves = _together(steep, torch.ones_like(steep) if norm == "linf" else steep, room, wanted)
    return into_box((start + way.sign() * moves.to(start)).reshape(images.shape), box)


def _together(steep: Tensor, speed: Tensor, room: Tensor, wanted: Tensor) -> Tensor:
    """min(speed t, room) with the smallest t that gains what is wanted."""
    speed = torch.where(steep > 0, speed, 0.0)
    until = torch.where(speed > 0, room / speed.clamp_min(1e-300), 0.0)
    until, order = until.sort(dim=1)
    rate = (steep * speed).gather(1, order)
    left = rate.flip(1).cumsum(1).flip(1)
    steps = until - _before(until)
    gained = torch.where(left > 0, left * steps, 0.0).cumsum(1)
    enough = gained >= wanted
    first = enough.int().argmax(1, keepdim=True)
    before, begun = (_before(values).gather(1, first) for values in (gained, until))
    time = begun + (wanted - before) / left.gather(1, first).clamp_min(1e-300)
    whole = torch.where(speed > 0, room.to(speed), 0.0)
    moves = torch.minimum(speed * time, room.to(speed))
    moves = torch.where(enough.any(1, keepdim=True), moves, whole)
    return torch.where(moves.isfinite(), moves, 0.0)


def _one_by_one(steep: Tensor, room: Tensor, wanted: Tensor) -> Tensor:
    """The whole room of the steepest, then of the next, until what is wanted is gained."""
    order = steep.argsort(dim=1, descending=True, stable=True)
    rate = steep.gather(1, order)
    gains = torch.where(rate > 0, rate * room.gather(1, order), 0.0)
    missing = (wanted - _before(gains.cumsum(1))).clamp_min(0)
    taken = torch.where(rate > 0, torch.minimum(gains, missing) / rate.clamp_min(1e-300), 0.0)
    return torch.zeros_like(steep).scatter(1, order, taken)


def _before(values: Tensor) -> Tensor:
    """Each row's values one place later, after a 0."""
    return torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], 1)

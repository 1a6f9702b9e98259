"""The nearest point of a half-space within the box, in linf, l2, l1 and l0."""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.contracts import Box, Images
from attacks.norms import NORMS, PerImage, into_box, refuse

CLOSE, MOST = 1e-14, 100


def reach(images: Images, slope: Images, gain: PerImage, norm: str, box: Box) -> Images:
    """The point of the box nearest to each image at which a linear function of this slope has grown
    by `gain`; where the box does not let it, the end of the way. Nothing moves for a gain of 0 or
    less (Croce and Hein 2020, arXiv:1907.02044, section 2.3; l0 is ours).

    Pixels move along the sign of their slope (linf), in proportion to it (l2), the steepest first
    (l1) or those first that gain most (l0), each until the end of the box. In l0 every pixel that
    moves goes to that end, and without a box the steepest goes as far as it takes.
    """
    refuse(norm, NORMS, "a half-space")
    start, way = images.flatten(1), slope.flatten(1)
    sign, steep = way.sign(), way.abs().double()
    room, wanted = _room(start, sign, box).double(), gain.double()[:, None].clamp_min(0)
    if norm == "l1":
        moves = _one_by_one(steep, room, wanted)
    elif norm == "l0":
        moves = _fewest(steep, room, wanted)
    else:
        moves = _together(steep, sign.abs().double() if norm == "linf" else steep, room, wanted)
    return into_box((start + sign * moves.to(start)).reshape(images.shape), box)


def _room(start: Tensor, sign: Tensor, box: Box) -> Tensor:
    """How far each pixel may go along its slope; 0 where that is 0."""
    if box is None:
        return torch.where(sign != 0, torch.inf, 0.0)
    return torch.maximum(sign * (box[1] - start), sign * (box[0] - start)).clamp_min_(0)


def _together(steep: Tensor, speed: Tensor, room: Tensor, wanted: Tensor) -> Tensor:
    """min(speed t, room) with the smallest t that gains what is wanted. What is gained is concave
    and piecewise linear in t: Newton's steps from 0 never pass the solution, and end on its piece.
    """
    rate, missing, time = steep * speed, wanted, torch.zeros_like(wanted)
    moves = torch.zeros_like(speed)
    for _ in range(MOST):
        left = (rate * (moves < room)).sum(1, keepdim=True)
        due = (missing > CLOSE * wanted) & (left > 0)
        if not bool(due.any()):
            break
        time = time + torch.where(due, missing / left.clamp_min(TINIEST), 0.0)
        moves = torch.minimum(speed * time, room)
        missing = wanted - (steep * moves).sum(1, keepdim=True)
    return moves.nan_to_num(0.0, 0.0, 0.0)


def _one_by_one(steep: Tensor, room: Tensor, wanted: Tensor) -> Tensor:
    """The whole room of the steepest, then of the next, until what is wanted is gained."""
    order = steep.argsort(dim=1, descending=True, stable=True)
    rate = steep.gather(1, order)
    gains = torch.where(rate > 0, rate * room.gather(1, order), 0.0)
    missing = (wanted - _before(gains.cumsum(1))).clamp_min(0)
    taken = torch.where(rate > 0, torch.minimum(gains, missing) / rate.clamp_min(TINIEST), 0.0)
    return torch.zeros_like(steep).scatter(1, order, taken)


def _fewest(steep: Tensor, room: Tensor, wanted: Tensor) -> Tensor:
    """The whole room of the pixels that gain most by it, of as few as it takes."""
    steepest = (steep > 0) & (steep == steep.amax(1, keepdim=True))
    alone = torch.where(steepest, wanted / steep.clamp_min(TINIEST), 0.0)
    room = torch.where(room < torch.inf, room, alone)
    gains, order = (steep * room).sort(dim=1, descending=True, stable=True)
    taken = (_before(gains.cumsum(1)) < wanted) & (gains > 0)
    return torch.zeros_like(steep).scatter(1, order, taken * room.gather(1, order))


TINIEST = 1e-300


def _before(values: Tensor) -> Tensor:
    """Each row's values one place later, after a 0."""
    return torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], 1)

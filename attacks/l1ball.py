"""The l1 ball within the box: the nearest point of both, and a step on few pixels.

A ball cut by the box is not the box applied to the ball: clipping gives away a part of the budget
that lies idle, so that attacks in l1 by two projections in turn find too little (Croce and Hein
2021, section 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.contracts import Box, Images, Radius
from attacks.norms import PerImage, into_box, spread

MOST, CLOSE = 100, 16.0


def within(images: Images, difference: Images, radius: Radius, box: Box) -> Images:
    """The images plus the nearest difference (in the Euclidean sense) of an l1 norm of at most
    `radius` that stays in the box; images lie in it.

    That is sign(d) min(max(|d| - t, 0), room), room being the way to the end of the box, with the
    smallest t of 0 or more that fits (Croce and Hein 2021, proposition 2.2). Its size falls
    piecewise linearly in t: Newton's steps end on the piece that has the solution, and a bracket is
    halved where one leaves it.
    """
    flat, start = difference.flatten(1), images.flatten(1)
    budget = spread(radius, flat).expand(len(flat), 1)
    size, room = flat.abs(), _room(start, flat, box)
    kept = torch.minimum((size - _threshold(size, room, budget)).clamp_min_(0), room)
    return into_box((start + flat.sign() * kept).reshape(images.shape), box)


def _room(start: Tensor, way: Tensor, box: Box) -> Tensor:
    """How far each pixel may go in the direction of its sign."""
    if box is None:
        return torch.full_like(start, torch.inf)
    return torch.where(way > 0, box[1] - start, start - box[0]).clamp_min(0)


def _threshold(size: Tensor, room: Tensor, budget: Tensor) -> Tensor:
    """The smallest t of 0 or more with sum(min(max(size - t, 0), room)) <= budget, [batch, 1]."""
    high, close = size.amax(1, keepdim=True), CLOSE * torch.finfo(size.dtype).eps * budget
    low = found = torch.zeros_like(high)
    for _ in range(MOST):
        left = size - found
        kept = torch.minimum(left, room).clamp_min_(0)
        over = kept.sum(1, keepdim=True, dtype=torch.float64) - budget
        falling = ((left > 0) & (left < room)).sum(1, keepdim=True)
        low, high = torch.where(over > 0, found, low), torch.where(over > 0, high, found)
        step = (found + over / falling).to(found)
        step = torch.where((step > low) & (step < high), step, (low + high) / 2)
        step = torch.where(over.abs() <= close, found, step)
        if torch.equal(step, found):
            break
        found = step
    return found


def few_steepest(
    images: Images, ascent: Images, count: PerImage, length: PerImage, box: Box
) -> Images:
    """The images, an l1 length further: as much on each of the `count` largest gradients, pixels at
    the end of the box passed over where they would leave it.
    """
    flat = ascent.flatten(1)
    slope = torch.where(_room(images.flatten(1), flat, box) > 0, flat.abs(), 0.0)
    place = count.clamp(1, slope.shape[1]).long()[:, None] - 1
    least = slope.sort(dim=1, descending=True).values.gather(1, place)
    chosen = ((slope >= least) & (slope > 0)).to(slope)
    share = chosen / chosen.sum(1, keepdim=True).clamp_min(1)
    return images + spread(length, images) * (flat.sign() * share).reshape(images.shape)


def changed(difference: Images) -> PerImage:
    """How many pixels of each differ."""
    return (difference.flatten(1) != 0).sum(1).to(difference.dtype)

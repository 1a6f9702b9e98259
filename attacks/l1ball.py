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


def within(images: Images, difference: Images, radius: Radius, box: Box) -> Images:
    """The images plus the nearest difference (in the Euclidean sense) of an l1 norm of at most
    `radius` that stays in the box; images lie in it.

    That is sign(d) min(max(|d| - t, 0), room), room being the way to the end of the box, with the
    smallest t of 0 or more that fits (Croce and Hein 2021, proposition 2.2). Its size falls
    piecewise linearly in t, between 2 n corners that are sorted.
    """
    flat, start = difference.flatten(1), images.flatten(1)
    budget = spread(radius, flat).double().expand(len(flat), 1)
    size, room = flat.abs(), _room(start, flat, box)
    threshold = _threshold(size, room, budget)
    kept = torch.minimum((size.double() - threshold).clamp_min(0), room.double())
    return into_box((start + flat.sign() * kept.to(flat)).reshape(images.shape), box)


def _room(start: Tensor, way: Tensor, box: Box) -> Tensor:
    """How far each pixel may go in the direction of its sign."""
    if box is None:
        return torch.full_like(start, torch.inf)
    return torch.where(way > 0, box[1] - start, start - box[0]).clamp_min(0)


def _threshold(size: Tensor, room: Tensor, budget: Tensor) -> Tensor:
    """The smallest t of 0 or more with sum(min(max(size - t, 0), room)) <= budget, [batch, 1]."""
    corners = torch.cat([size, (size - room).clamp_min(0)], 1)
    falling = torch.cat([torch.ones_like(size), -torch.ones_like(size)], 1)
    corners, order = corners.sort(dim=1, descending=True)
    corners, slopes = corners.double(), falling.gather(1, order).double().cumsum(1)
    gaps = corners - torch.cat([corners[:, 1:], torch.zeros_like(corners[:, :1])], 1)
    spent = (slopes * gaps).cumsum(1)
    over = spent > budget
    first = over.int().argmax(1, keepdim=True)
    before = (spent - slopes * gaps).gather(1, first)
    slope = slopes.gather(1, first).clamp_min(1)
    found = corners.gather(1, first) - (budget - before) / slope
    return torch.where(over.any(1, keepdim=True), found, 0.0).clamp_min(0)


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

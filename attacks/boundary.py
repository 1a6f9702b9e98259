"""The boundary attack: a random walk along the boundary, ever nearer to the image."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import count
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import ATTACKS, Box, Images
from attacks.decisions import Decisions, Oracle, Walkers, to_boundary
from attacks.norms import into_box, size, spread, unit
from attacks.streams import normal

ROUGHLY = 1e-3
"""How close to the boundary the walk starts, as a share of the distance."""


@dataclass(frozen=True)
class Boundary(Decisions):
    """Brendel et al. 2018, algorithm 1: a step on the sphere around the image, then one towards it.

    The first is `sphere` of the distance long, the second `inward`, both at the start. Every
    `every` steps the point on the sphere is asked about too. Of the last `window` such answers, all
    after the last change, half should be misclassified: above that share both steps become
    `adapt` times as long, below a fifth as much shorter. A quarter of whole steps should come to
    something (as many answers): more, and the inward one grows; less than a tenth, and it shrinks.
    An image whose inward step is below `least` is done. The start is brought to the boundary by
    bisection. Shorter windows than in foolbox (10 in the place of 100 and 30) save queries.
    """

    sphere: float = 0.01
    inward: float = 0.01
    adapt: float = 1.5
    every: int = 10
    window: int = 10
    least: float = 1e-7
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def walk(self, on: Walkers, oracle: Oracle, norm: str, box: Box) -> None:
        if not len(on.index):
            return
        on.at = to_boundary(on, oracle, norm, box, tolerance=ROUGHLY)
        paces = _Paces.of(on.images, self.sphere, self.inward)
        for step in count(1):
            checked = step % self.every == 0
            kept = (oracle.left[on.index] > int(checked)) & (paces.inward >= self.least)
            on, paces = on.only(kept), paces.only(kept)
            if not len(on.index):
                return
            turned = _turned(on, paces.sphere, step, box)
            points = _inwards(on, turned, paces.inward, box)
            won = oracle.ask(points, on.index)
            if checked:
                paces.learn(oracle.ask(turned, on.index), won, self.window, self.adapt)
            nearer = size(points - on.images, norm) < size(on.at - on.images, norm)
            on.at = torch.where(spread(won & nearer, on.at).bool(), points, on.at)


@dataclass
class _Paces:
    """The lengths of both steps, and what became of the last ones; one batch."""

    sphere: Tensor
    inward: Tensor
    turns: Tensor
    turned: Tensor
    moves: Tensor
    moved: Tensor

    @classmethod
    def of(cls, images: Images, sphere: float, inward: float) -> _Paces:
        none = images.new_zeros(len(images))
        return cls(none + sphere, none + inward, *(none.clone() for _ in range(4)))

    def only(self, kept: Tensor) -> _Paces:
        return _Paces(*(getattr(self, field.name)[kept] for field in fields(self)))

    def learn(self, turned: Tensor, moved: Tensor, window: int, adapt: float) -> None:
        """Count two answers, and change what a full window calls for."""
        self.turns, self.turned = self.turns + 1, self.turned + turned
        self.moves, self.moved = self.moves + 1, self.moved + moved
        full, share = self.turns >= window, self.turned / self.turns
        factor = _factor(full & (share > 0.5), full & (share < 0.2), adapt, share)
        self.sphere, self.inward = self.sphere * factor, self.inward * factor
        self.turns, self.turned = (torch.where(full, 0.0, x) for x in (self.turns, self.turned))
        full, share = self.moves >= window, self.moved / self.moves
        self.inward = self.inward * _factor(
            full & (share > 0.25), full & (share < 0.1), adapt, share
        )
        self.moves, self.moved = (torch.where(full, 0.0, x) for x in (self.moves, self.moved))


def _factor(longer: Tensor, shorter: Tensor, adapt: float, like: Tensor) -> Tensor:
    same = torch.ones_like(like)
    return torch.where(longer, adapt, torch.where(shorter, 1 / adapt, same))


def _turned(on: Walkers, sphere: Tensor, step: int, box: Box) -> Images:
    """A random step across the way to the image, put back on the sphere around it."""
    out = on.at - on.images
    far, outward = spread(size(out, "l2"), out), unit(out, "l2")
    drawn = normal(on.seeds, tuple(out.shape[1:]), step).to(out.dtype)
    drawn = drawn - spread((drawn * outward).flatten(1).sum(1), out) * outward
    across = spread(sphere, out) * far * unit(drawn, "l2")
    scale = (spread(sphere, out).square() + 1).sqrt()
    return into_box(on.images + (across + out) / scale, box)


def _inwards(on: Walkers, turned: Images, inward: Tensor, box: Box) -> Images:
    """From there towards the image, by `inward` of the distance before and what clipping added."""
    out, before = turned - on.images, size(on.at - on.images, "l2")
    now = size(out, "l2")
    length = (inward * before + now - before).clamp_min(0)
    share = (length / now.clamp_min(1e-38)).clamp_max(1)
    return into_box(turned - spread(share, out) * out, box)


ATTACKS.register(
    "boundary",
    paper="arXiv:1712.04248",
    summary="Random walk along the boundary, by decisions alone, a black box",
    gradients=False,
    draws=True,
)(Boundary())

"""The Square attack: squares at random places, kept where the model's scores get worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import ClassVar

import torch
from jaxtyping import Float, Int
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
from attacks.gradients import look
from attacks.l1ball import within
from attacks.norms import into_box, refuse, unit
from attacks.objectives import lead
from attacks.radii import moving
from attacks.streams import integers, signs
from bench.core.errors import UsageError

SCHEDULE = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After which of 10,000 queries the share of pixels halves (the paper's section 3.2)."""
LONGER = 4.0
REDRAWS = 10
"""How often signs that change nothing are drawn again before a query goes on them."""

Pixels = Float[Tensor, "batch channels height width"]


@dataclass(frozen=True)
class Square(FixedBudget):
    """Andriushchenko et al. 2020, algorithms 1 to 3; `queries` forwards an image, no gradient.

    In l1 it is algorithm 3 with absolute values for squares, as Croce and Hein (2021, section 5)
    have it, projected into the ball within the box at four times the radius. p_init: the share of
    pixels in the first square; the paper's schedule of halvings is stretched to `queries`. What is
    raised is the lead of the best wrong logit, minus the paper's margin loss. It starts with
    vertical stripes (linf) or a grid of bumps (l2, l1). Vectors of a square number of pixels are
    seen as one channel; others are refused. Departures from the paper's code: each image
    has its own windows and orientations (the code draws them once for the batch in l2), and the
    last row and column can be hit (as in algorithm 2; the code leaves them out).
    """

    queries: int = 1000
    p_init: float = 0.8
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def __post_init__(self) -> None:
        if not 0 < self.p_init <= 1:
            raise UsageError(f"p_init: expected a share above 0 and up to 1, got {self.p_init}")

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
    ) -> Images:
        refuse(norm, self.norms, "square")

        def attack(x: Images, y: Labels, radii: Tensor, drawn: Seeds) -> Images:
            return self._attack(model, x, y, radii, drawn, norm, box, stop)

        return moving(attack, images, labels, radius, seeds)

    def _attack(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        radii: Tensor,
        seeds: Seeds,
        norm: str,
        box: Box,
        stop: Stop,
    ) -> Images:
        clean = _as_pixels(images)
        start, step = _stripes, _squares
        if norm != "linf":
            start, step = partial(_bumps, norm=norm), partial(_move, norm=norm)

        def score(pixels: Tensor, labels: Tensor) -> Tensor:
            return lead(look(model, pixels.reshape(-1, *images.shape[1:])), labels)

        with torch.no_grad():
            found = _Found(clean, clean, radii[:, None, None, None], seeds)
            found = found.at(start(found, box))
            self._search(score, found, labels, step, box, stop)
        return found.best.reshape(images.shape)

    def _search(
        self,
        score: Callable[[Tensor, Tensor], Tensor],
        found: _Found,
        labels: Labels,
        step: Callable[[_Found, int, float, Box], Pixels],
        box: Box,
        stop: Stop,
    ) -> None:
        """Algorithm 1: keep a proposal where it leads by more; `found.best` changes in place."""
        leads = score(found.best, labels)
        going = torch.arange(len(leads), device=leads.device)
        for query in range(1, self.queries):
            if stop == "first_success":
                going = going[leads[going] <= 0]
            if not len(going):
                return
            tried = step(found.only(going), query, share(self.p_init, query, self.queries), box)
            gained = score(tried, labels[going])
            better = gained > leads[going]
            found.best[going[better]], leads[going[better]] = tried[better], gained[better]


@dataclass(frozen=True)
class _Found:
    """Images and the best that was found for each; the fields have one batch."""

    clean: Pixels
    best: Pixels
    radius: Float[Tensor, "batch 1 1 1"]
    seeds: Seeds

    def only(self, index: Tensor) -> _Found:
        return _Found(*(value[index] for value in vars(self).values()))

    def at(self, best: Pixels) -> _Found:
        return _Found(self.clean, best, self.radius, self.seeds)


def share(p_init: float, query: int, queries: int) -> float:
    """The share of pixels in the square of a query."""
    passed = int(query / queries * 10_000)
    return p_init / 2 ** sum(passed > bound for bound in SCHEDULE)


def _as_pixels(images: Images) -> Pixels:
    if images.ndim == 4:
        return images
    if images.ndim == 3:
        return images[:, None]
    pixels = images.shape[1:].numel()
    side = round(pixels**0.5)
    if images.ndim != 2 or side * side != pixels:
        raise UsageError(
            "square expected images [batch, channels, height, width], or vectors of a square "
            f"number of pixels; got {list(images.shape)}"
        )
    return images.reshape(len(images), 1, side, side)


def _stripes(found: _Found, box: Box) -> Pixels:
    _, channels, _, width = found.clean.shape
    drawn = signs(found.seeds, (channels, 1, width), 0).to(found.clean.dtype)
    return into_box(found.clean + found.radius * drawn, box)


def _squares(found: _Found, query: int, p: float, box: Box) -> Pixels:
    """Algorithm 2: one sign for each channel of a square, other than those it has."""
    _, channels, height, width = found.clean.shape
    side = min(max(round((p * height * width) ** 0.5), 1), max(min(height, width) - 1, 1))
    pixels = _window(found, query, 0, side)
    inside = torch.zeros_like(found.clean[:, 0].flatten(1), dtype=torch.bool)
    inside = inside.scatter(1, pixels, True).reshape(-1, 1, height, width)
    tried, pending = found.best.clone(), torch.arange(len(pixels), device=pixels.device)
    for draw in range(REDRAWS):
        at = found.only(pending)
        drawn = signs(at.seeds, (channels, 1, 1), query, 2 + draw).to(tried.dtype)
        moved = into_box(at.clean + at.radius * drawn, box)
        tried[pending] = torch.where(inside[pending], moved, at.best)
        pending = pending[(tried[pending] - at.best).abs().flatten(1).amax(1) < 1e-7]
        if not len(pending):
            break
    return tried


def _bumps(found: _Found, box: Box, norm: str) -> Pixels:
    """A grid of bumps, about five by five, with a sign for each channel."""
    count, channels, height, width = found.clean.shape
    side = max(min(height, width) // 5, 1)
    down, across = height // side, width // side
    grid = (count, channels, down, 1, across, 1)
    turned = signs(found.seeds, (down, across), 0, 0) > 0
    drawn = signs(found.seeds, (channels, down, across), 0, 1).to(found.clean.dtype)
    bumps = _bump(side).to(found.clean)[turned.long()].transpose(2, 3)[:, None]
    tiles = (bumps * drawn.reshape(grid)).flatten(4).flatten(2, 3)
    top, left = (height - down * side) // 2, (width - across * side) // 2
    delta = torch.zeros_like(found.clean)
    delta[:, :, top : top + down * side, left : left + across * side] = tiles
    return _inside(found, delta, box, norm)


def _move(found: _Found, query: int, p: float, box: Box, norm: str) -> Pixels:
    """Algorithm 3: a bump in one window, of another's mass and what the budget has left."""
    _, channels, height, width = found.clean.shape
    side = max(round((p * height * width) ** 0.5), 3)
    side = min(side + (side % 2 == 0), height, width)
    delta = (found.best - found.clean).flatten(2)
    first, second = (
        _window(found, query, which, side)[:, None].expand(-1, channels, -1) for which in (0, 1)
    )
    both = torch.zeros_like(delta, dtype=torch.bool).scatter(2, first, True)
    both = both.scatter(2, second, True)
    power = {"l2": 2, "l1": 1}[norm]
    spent = delta.abs() ** power
    spare = (found.radius[:, 0] ** power - spent.sum((1, 2), keepdim=True)).clamp_min(0)
    budget = spare / channels + (spent * both).sum(2, keepdim=True)
    turned = signs(found.seeds, (), query, 4) > 0
    bump = _bump(side, power).to(delta)[turned.long()].flatten(1)[:, None]
    drawn = signs(found.seeds, (channels, 1), query, 5).to(delta.dtype)
    mixed = _normed(bump * drawn + _normed(delta.gather(2, first), power), power)
    delta = delta.scatter(2, second, 0.0).scatter(2, first, mixed * budget ** (1 / power))
    return _inside(found, delta.reshape(found.clean.shape), box, norm)


def _inside(found: _Found, delta: Pixels, box: Box, norm: str) -> Pixels:
    """The images plus a difference of the length of the radius, in the box. In l1 it is made longer
    first and projected, so that what the box cuts off is spent elsewhere.
    """
    full = found.radius * unit(delta, norm)
    if norm == "l1":
        return within(found.clean, LONGER * full, found.radius.flatten(), box)
    return into_box(found.clean + full, box)


def _normed(patches: Float[Tensor, "batch channels pixels"], power: int) -> Tensor:
    """Each channel at length 1 in the norm of that power; zero stays zero."""
    return patches / torch.linalg.vector_norm(patches, power, 2, keepdim=True).clamp_min(1e-10)


def _window(found: _Found, query: int, which: int, side: int) -> Int[Tensor, "batch pixels"]:
    """Which pixels of the flattened image a window covers, anywhere inside it."""
    height, width = found.clean.shape[2:]
    top = integers(found.seeds, height - side + 1, query, 0, which)
    left = integers(found.seeds, width - side + 1, query, 1, which)
    steps = torch.arange(side, device=top.device)
    rows, columns = top[:, None, None] + steps[:, None], left[:, None, None] + steps
    return (rows * width + columns).flatten(1)


@cache
def _bump(side: int, power: int = 2) -> Float[Tensor, "2 side side"]:
    """Two opposite peaks side by side, of length 1 in the norm of that power: upright and lying
    (equation 2).
    """
    half = side // 2
    bump = torch.cat([_peak(half, side), -_peak(side - half, side)])
    bump = bump / torch.linalg.vector_norm(bump.flatten(), power)
    return torch.stack([bump, bump.T])


def _peak(rows: int, columns: int) -> Float[Tensor, "rows columns"]:
    """Squares around the middle, the n-th of weight 1 / n^2, of Euclidean length 1."""
    peak = torch.zeros(rows, columns, dtype=torch.float64)
    middle = (rows // 2, columns // 2)
    for ring in range(max(middle) + 1):
        high, wide = (slice(max(m - ring, 0), m + ring + 1) for m in middle)
        peak[high, wide] += 1.0 / (ring + 1) ** 2
    return peak / torch.linalg.vector_norm(peak).clamp_min(1e-38)


ATTACKS.register(
    "square",
    paper="arXiv:1912.00049",
    summary="Random squares that worsen the scores, a black box",
    gradients=False,
    draws=True,
)(Square())

"""How the Square attack moves: windows at random places, filled with signs or with bumps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attacks.contracts import Box, Seeds
from attacks.l1ball import within
from attacks.norms import into_box, unit
from attacks.pixels import Pixels
from attacks.streams import bits, signs, uniform

LONGER = 4.0
REDRAWS = 10
"""How often signs that change nothing are drawn again before a query goes on them."""
NOTHING = 1e-7
"""What changes by less than that has not changed."""

Window = Int[Tensor, "batch channels pixels"]


@dataclass(frozen=True)
class Found:
    """Images and the best that was found for each; the fields have one batch."""

    clean: Pixels
    best: Pixels
    radius: Float[Tensor, "batch 1 1 1"]

    def only(self, kept: Tensor) -> Found:
        return Found(*(value[kept] for value in vars(self).values()))

    def at(self, best: Pixels) -> Found:
        return Found(self.clean, best, self.radius)


@dataclass(frozen=True)
class Draws:
    """The random numbers of some queries: places [batch, queries, 4] in (0, 1), and signs
    [batch, queries, redraws, channels].
    """

    places: Tensor
    signs: Tensor

    def only(self, kept: Tensor) -> Draws:
        return Draws(self.places[kept], self.signs[kept])


def draw(seeds: Seeds, queries: int, channels: int, number: int) -> Draws:
    """Those of the `number`-th lot of queries. Sixty-four signs are the bits of one draw."""
    wanted = REDRAWS * channels
    words = bits(seeds, (queries, -(-wanted // 64)), number, 1)[..., None]
    flips = (words >> torch.arange(64, device=seeds.device)) & 1
    drawn = 1.0 - 2.0 * flips.flatten(2)[..., :wanted].float()
    places = uniform(seeds, (queries, 4), number, 0)
    return Draws(places, drawn.reshape(len(seeds), queries, REDRAWS, channels))


class Moves(ABC):
    """Where to begin, and what to try next; inside ball and box."""

    @abstractmethod
    def start(self, found: Found, seeds: Seeds, box: Box) -> Pixels:
        """The first images."""

    @abstractmethod
    def step(self, found: Found, draws: Draws, query: int, share: float, box: Box) -> Pixels:
        """The next ones: `query` is the place in the lot, `share` that of a window's pixels."""


@dataclass(frozen=True)
class Signs(Moves):
    """Algorithm 2, linf: vertical stripes; then one sign for each channel of a window, other than
    those it has.
    """

    def start(self, found: Found, seeds: Seeds, box: Box) -> Pixels:
        _, channels, _, width = found.clean.shape
        drawn = signs(seeds, (channels, 1, width), 0).to(found.clean.dtype)
        return into_box(found.clean + found.radius * drawn, box)

    def step(self, found: Found, draws: Draws, query: int, share: float, box: Box) -> Pixels:
        height, width = found.clean.shape[2:]
        side = min(max(round((share * height * width) ** 0.5), 1), max(min(height, width) - 1, 1))
        window = _window(found, draws.places[:, query, :2], side)
        best = found.best.flatten(2)
        old, clean = best.gather(2, window), found.clean.flatten(2).gather(2, window)
        radius = found.radius[:, 0]
        low, high = into_box(clean - radius, box), into_box(clean + radius, box)
        down, up = (((new - old).abs() >= NOTHING).any(2)[:, None] for new in (low, high))
        drawn = draws.signs[:, query]
        changes = torch.where(drawn > 0, up, down).any(2)
        chosen = changes.int().argmax(1)
        sign = drawn[torch.arange(len(drawn), device=drawn.device), chosen][:, :, None]
        return best.scatter(2, window, torch.where(sign > 0, high, low)).reshape(found.best.shape)


@dataclass(frozen=True)
class Bumps(Moves):
    """Algorithm 3, l2 and l1: a grid of bumps, about five by five; then a bump in one window, of
    another's mass and of what the budget has left.
    """

    norm: str

    @property
    def power(self) -> int:
        return {"l2": 2, "l1": 1}[self.norm]

    def start(self, found: Found, seeds: Seeds, box: Box) -> Pixels:
        count, channels, height, width = found.clean.shape
        side = max(min(height, width) // 5, 1)
        down, across = height // side, width // side
        grid = (count, channels, down, 1, across, 1)
        turned = signs(seeds, (down, across), 0, 0) > 0
        drawn = signs(seeds, (channels, down, across), 0, 1).to(found.clean.dtype)
        bumps = bump(side).to(found.clean)[turned.long()].transpose(2, 3)[:, None]
        tiles = (bumps * drawn.reshape(grid)).flatten(4).flatten(2, 3)
        top, left = (height - down * side) // 2, (width - across * side) // 2
        delta = torch.zeros_like(found.clean)
        delta[:, :, top : top + down * side, left : left + across * side] = tiles
        return self._inside(found, delta, box)

    def step(self, found: Found, draws: Draws, query: int, share: float, box: Box) -> Pixels:
        channels, height, width = found.clean.shape[1:]
        side = max(round((share * height * width) ** 0.5), 3)
        side = min(side + (side % 2 == 0), height, width)
        power, delta = self.power, (found.best - found.clean).flatten(2)
        places = draws.places[:, query]
        first, second = (_window(found, places[:, k : k + 2], side) for k in (0, 2))
        left = delta.scatter(2, second, 0.0).scatter(2, first, 0.0)
        spent, kept = (_mass(values, power) for values in (delta, left))
        spare = (found.radius[:, 0] ** power - spent.sum((1, 2), keepdim=True)).clamp_min(0)
        budget = spare / channels + (spent - kept)
        drawn, turned = draws.signs[:, query, 0, :, None], draws.signs[:, query, 1, 0] > 0
        shape = bump(side, power).to(delta)[turned.long()].flatten(1)[:, None]
        mixed = _normed(shape * drawn.to(delta) + _normed(delta.gather(2, first), power), power)
        tried = left.scatter(2, first, mixed * budget.clamp_min(0) ** (1 / power))
        return self._inside(found, tried.reshape(found.clean.shape), box)

    def _inside(self, found: Found, delta: Pixels, box: Box) -> Pixels:
        """The images plus a difference of the length of the radius, in the box. In l1 it is made
        longer first and projected, so that what the box cuts off is spent elsewhere.
        """
        full = found.radius * unit(delta, self.norm)
        if self.norm == "l1":
            return within(found.clean, LONGER * full, found.radius.flatten(), box)
        return into_box(found.clean + full, box)


def _mass(values: Tensor, power: int) -> Float[Tensor, "batch channels 1"]:
    return (values * values if power == 2 else values.abs()).sum(2, keepdim=True)


def _normed(patches: Float[Tensor, "batch channels pixels"], power: int) -> Tensor:
    """Each channel at length 1 in the norm of that power; zero stays zero."""
    return patches / torch.linalg.vector_norm(patches, power, 2, keepdim=True).clamp_min(1e-10)


def _window(found: Found, places: Float[Tensor, "batch 2"], side: int) -> Window:
    """Which pixels of the flattened image a square window covers, anywhere inside it."""
    channels, height, width = found.clean.shape[1:]
    room = torch.tensor([height - side + 1, width - side + 1], device=places.device)
    corner = torch.minimum((places * room).long(), room - 1)
    steps = torch.arange(side, device=places.device)
    rows, columns = corner[:, :1, None] + steps[:, None], corner[:, 1:, None] + steps
    return (rows * width + columns).flatten(1)[:, None].expand(-1, channels, -1)


@cache
def bump(side: int, power: int = 2) -> Float[Tensor, "2 side side"]:
    """Two opposite peaks side by side, of length 1 in the norm of that power: upright and lying
    (equation 2).
    """
    half = side // 2
    upright = torch.cat([peak(half, side), -peak(side - half, side)])
    upright = upright / torch.linalg.vector_norm(upright.flatten(), power)
    return torch.stack([upright, upright.T])


def peak(rows: int, columns: int) -> Float[Tensor, "rows columns"]:
    """Squares around the middle, the n-th of weight 1 / n^2, of Euclidean length 1."""
    weights = torch.zeros(rows, columns, dtype=torch.float64)
    middle = (rows // 2, columns // 2)
    for ring in range(max(middle) + 1):
        high, wide = (slice(max(m - ring, 0), m + ring + 1) for m in middle)
        weights[high, wide] += 1.0 / (ring + 1) ** 2
    return weights / torch.linalg.vector_norm(weights).clamp_min(1e-38)

"""HopSkipJump: the boundary's normal from decisions, a jump along it, and back to the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import ATTACKS, Box, Images
from attacks.decisions import Decisions, Oracle, Walkers, to_boundary
from attacks.norms import PerImage, into_box, size, spread, unit
from attacks.streams import normal, uniform

GROUP = 10
"""Points of an image that are asked about at once; votes come in multiples of it."""
RESERVE = 20
"""Questions that are kept for the way back to the boundary."""
HALVINGS = 20


@dataclass(frozen=True)
class HopSkipJump(Decisions):
    """Chen et al. 2020, algorithm 2 with steps by geometric progression.

    votes: decisions for the first estimate of the normal; the t-th has sqrt(t) times as many, and
    the last what is left. Bisection ends within gamma / d^1.5 of the distance in l2 (their code),
    gamma / d^2 in linf, at most `finest`; points are asked about at 1 / d of the distance (a tenth
    of the box at first, or of the largest change of a pixel where there is none).
    """

    votes: int = 100
    gamma: float = 1.0
    finest: float = 1e-6
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def walk(self, on: Walkers, oracle: Oracle, norm: str, box: Box) -> None:
        if not len(on.index):
            return
        pixels = on.at.shape[1:].numel()
        power = 2.0 if norm == "linf" else 1.5
        near = max(self.gamma / pixels**power, self.finest)
        on.at = to_boundary(on, oracle, norm, box, tolerance=near)
        probe = 0.1 * size(on.at - on.images, "linf")
        if box is not None:
            probe = torch.full_like(probe, 0.1 * (box[1] - box[0]))
        for step in count(1):
            kept = oracle.left[on.index] > RESERVE
            on, probe = on.only(kept), probe[kept]
            if not len(on.index):
                return
            way = self._normal(on, oracle, probe, step, norm, box)
            jumped, going = _jump(on, oracle, way, step, norm, box)
            on.at = jumped
            on.at = to_boundary(on, oracle, norm, box, tolerance=near, going=going)
            probe = size(on.at - on.images, norm) / pixels

    def _normal(
        self, on: Walkers, oracle: Oracle, probe: PerImage, step: int, norm: str, box: Box
    ) -> Images:
        """Equations 14 to 16: the mean of random directions, each weighed by its decision less the
        mean decision; as a direction of steepest change in the norm.
        """
        wanted = torch.full_like(on.index, int(self.votes * step**0.5))
        rounds = torch.minimum(wanted, oracle.left[on.index] - RESERVE) // GROUP
        rounds = rounds.clamp_min(1)
        plain, voted = torch.zeros_like(on.at), torch.zeros_like(on.at)
        total = torch.zeros_like(probe)
        for number in range(int(rounds.max())):
            chosen = number < rounds
            some, reach = on.only(chosen), spread(probe[chosen], on.at)[:, None]
            ways = _directions(some, step, number, norm)
            points = into_box(some.at[:, None] + reach * ways, box)
            ways = (points - some.at[:, None]) / reach
            sides = 2.0 * oracle.votes(points, some.index).to(ways.dtype) - 1.0
            weights = sides.reshape(*sides.shape, *[1] * (ways.ndim - 2))
            plain[chosen] += ways.sum(1)
            voted[chosen] += (weights * ways).sum(1)
            total[chosen] += sides.sum(1)
        mean = total / (rounds * GROUP)
        agreed = spread(mean.abs() == 1, on.at).bool()
        way = torch.where(agreed, voted, voted - spread(mean, on.at) * plain)
        return way.sign() if norm == "linf" else unit(way, "l2")


def _directions(on: Walkers, step: int, number: int, norm: str) -> Tensor:
    """[some, GROUP, *image]: Gaussian in l2, uniform in linf, each at Euclidean length 1."""
    shape = (GROUP, *on.at.shape[1:])
    drawn = normal(on.seeds, shape, step, number)
    if norm == "linf":
        drawn = 2 * uniform(on.seeds, shape, step, number) - 1
    return unit(drawn.to(on.at.dtype).flatten(0, 1), "l2").reshape(drawn.shape)


def _jump(
    on: Walkers, oracle: Oracle, way: Images, step: int, norm: str, box: Box
) -> tuple[Images, Tensor]:
    """Along the way by 1 / sqrt(step) of the distance, half as far until that is misclassified;
    where to, and for which images it came to anything.
    """
    length = size(on.at - on.images, norm) / step**0.5
    jumped, done = on.at.clone(), torch.zeros_like(on.index, dtype=torch.bool)
    for _ in range(HALVINGS):
        going = ~done & (oracle.left[on.index] > 0)
        if not bool(going.any()):
            break
        points = into_box(on.at[going] + spread(length[going], on.at) * way[going], box)
        won = oracle.ask(points, on.index[going])
        where = going.nonzero()[:, 0][won]
        jumped[where], done[where] = points[won], True
        length = length / 2
    return jumped, done


ATTACKS.register(
    "hopskipjump",
    paper="arXiv:1904.02144",
    summary="Boundary's normal from decisions alone, a black box",
    gradients=False,
    draws=True,
)(HopSkipJump())

"""The Square attack: squares at random places, kept where the model's scores get worse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
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
from attacks.goals import Goal
from attacks.gradients import look
from attacks.norms import refuse
from attacks.pixels import Pixels, as_pixels
from attacks.radii import moving
from attacks.squares import Bumps, Found, Signs, draw
from bench.core.errors import UsageError

SCHEDULE = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After which of 10,000 queries the share of pixels halves (the paper's section 3.2)."""
LONGEST = 10_000
LOT = 32
"""For how many queries random numbers are drawn at once."""


@dataclass(frozen=True)
class Square(FixedBudget):
    """Andriushchenko et al. 2020, algorithms 1 to 3; `queries` forwards an image, no gradient.

    In l1 it is algorithm 3 with absolute values for squares, as Croce and Hein (2021, section 5)
    have it, projected into the ball within the box at four times the radius. p_init: the share of
    pixels in the first square. stretch: whether the paper's schedule of halvings, for 10,000
    queries, is stretched to `queries` (AutoAttack takes it as it is). patience: after so many
    queries, again and again, an image is left that would not reach its goal if it gained as much a
    query as since it was asked last; 0: never. What is raised is the lead of
    the best wrong logit, minus the paper's margin loss. It starts with vertical stripes (linf) or a
    grid of bumps (l2, l1). Vectors of a square number of pixels are seen as one channel; others are
    refused. Departures from the paper's code: each image has its own windows and orientations (the
    code draws them once for the batch), a window that would change nothing is filled with other
    signs, and the last row and column can be hit (as in algorithm 2; the code leaves them out).
    """

    queries: int = 1000
    p_init: float = 0.8
    stretch: bool = True
    patience: int = 0
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def __post_init__(self) -> None:
        if not 0 < self.p_init <= 1:
            raise UsageError(f"p_init: expected a share above 0 and up to 1, got {self.p_init}")
        if self.patience < 0:
            raise UsageError(f"patience: expected queries, 0 or more, got {self.patience}")

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
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "square")

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            return self._attack(model, x, goal, radii, drawn, norm, box, stop)

        return moving(attack, images, Goal(labels, targets), radius, seeds)

    def _attack(
        self,
        model: Model,
        images: Images,
        goal: Goal,
        radii: Tensor,
        seeds: Seeds,
        norm: str,
        box: Box,
        stop: Stop,
    ) -> Images:
        """Algorithm 1: keep a proposal where it leads by more."""
        moves = Signs() if norm == "linf" else Bumps(norm)
        clean, everyone = (
            as_pixels(images, "square"),
            torch.arange(len(images), device=images.device),
        )

        def score(pixels: Tensor, goal: Goal) -> Tensor:
            return goal.lead(look(model, pixels.reshape(-1, *images.shape[1:])))

        with torch.no_grad():
            found = Found(clean, clean, radii[:, None, None, None])
            found = found.at(moves.start(found, seeds, box))
            leads, draws = score(found.best, goal), None
            best, on = found.best.clone(), _Going(everyone, found, goal, seeds, leads)
            for query in range(1, self.queries):
                done = leads > 0 if stop == "first_success" else torch.zeros_like(leads).bool()
                if self.patience and query % self.patience == 0:
                    done = done | on.hopeless(leads, (self.queries - query) / self.patience)
                    on = on.asked(leads)
                if bool(done.any()):
                    best[on.index[done]] = on.found.best[done]
                    on, leads = on.only(~done), leads[~done]
                    draws = draws and draws.only(~done)
                if not len(on.index):
                    break
                if draws is None or query % LOT == 0:
                    draws = draw(on.seeds, LOT, clean.shape[1], query // LOT)
                size = share(self.p_init, query, self.queries if self.stretch else LONGEST)
                tried = moves.step(on.found, draws, query % LOT, size, box)
                gained = score(tried, on.goal)
                better = gained > leads
                kept = torch.where(better[:, None, None, None], tried, on.found.best)
                on, leads = on.at(kept), torch.where(better, gained, leads)
            best[on.index] = on.found.best
        return best.reshape(images.shape)


@dataclass(frozen=True)
class _Going:
    """The images that are still searched for. then: how far ahead each was when it was asked last
    whether there is hope.
    """

    index: Tensor
    found: Found
    goal: Goal
    seeds: Seeds
    then: Tensor

    def only(self, kept: Tensor) -> _Going:
        rest = (self.goal[kept], self.seeds[kept], self.then[kept])
        return _Going(self.index[kept], self.found.only(kept), *rest)

    def hopeless(self, leads: Tensor, left: float) -> Tensor:
        """Which would not be ahead in `left` times as many queries as since they were asked last,
        if they gained as much in each.
        """
        return leads + left * (leads - self.then) < 0

    def asked(self, leads: Tensor) -> _Going:
        return replace(self, then=leads)

    def at(self, best: Pixels) -> _Going:
        return replace(self, found=self.found.at(best))


def share(p_init: float, query: int, queries: int) -> float:
    """The share of pixels in the square of a query."""
    passed = int(query / queries * LONGEST)
    return p_init / 2 ** sum(passed > bound for bound in SCHEDULE)


ATTACKS.register(
    "square",
    paper="arXiv:1912.00049",
    summary="Random squares that worsen the scores, a black box",
    gradients=False,
    draws=True,
    aims=True,
)(Square())

"""Which rows of a column can be told apart over seeds: one best, or several that tie.

The row with the best mean is held against every other row that it competes with, by the exact
one-sided rank test of Mann and Whitney (1947, Annals of Mathematical Statistics 18:50-60); ties
share their mean rank, and the null distribution is that of the ranks seen. The p-values are
Holm's (1979, Scandinavian Journal of Statistics 6:65-70) over these comparisons. It is the best
where all of them are at most 5 %; else it ties with every row whose p-value is larger.

The test is one-sided, and the same seeds choose the row that it favours: of two equal models one
is called best in up to 10 % of all columns, of three or more in less than 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from results.ranks import WAYS, holm, smallest_p, tails

LEVEL = 0.05
ROUNDING = 1e-9
WORK = 4_000_000
"""Ways to exchange seeds, times seeds: what one test may hold in memory."""


class Entrant(NamedTuple):
    """A row of a column. family: the rows that it competes with have the same; None where it does
    not compete. scores: its seeds' values, larger is worse; a diverged seed is infinite.
    """

    family: Hashable
    scores: Sequence[float]


class Standing(NamedTuple):
    """best: told from every other row. tied: the best mean, not told from every other, or a row
    that it is not told from.
    """

    best: bool
    tied: bool


def standings(entrants: Sequence[Entrant]) -> list[Standing | None]:
    """The standing of each row in its family; None where nothing can be said: see `compared`."""
    families: dict[Hashable, list[int]] = {}
    for place, entrant in enumerate(entrants):
        if entrant.family is not None:
            families.setdefault(entrant.family, []).append(place)
    found: list[Standing | None] = [None] * len(entrants)
    for places in families.values():
        for place, standing in zip(
            places, compared([entrants[place].scores for place in places]), strict=True
        ):
            found[place] = standing
    return found


def compared(scores: Sequence[Sequence[float]]) -> list[Standing | None]:
    """The standings of rows that compete, each with one finite value or more.

    All are None where one row competes alone, where all values are the same (to 12 digits), and
    where there are so few seeds that no outcome could tell any row from the best.
    """
    rows = [np.array([float(f"{value:.12g}") for value in row]) for row in scores]
    unknown: list[Standing | None] = [None] * len(rows)
    if len(rows) < 2 or len(np.unique(np.concatenate(rows))) == 1:
        return unknown
    leader = _leader(rows)
    rivals = [place for place in range(len(rows)) if place != leader]
    least = min(smallest_p(len(rows[leader]), len(rows[place])) for place in rivals)
    if not _tells(len(rivals) * least):
        return unknown
    tied = ~_tells(holm(_chances(rows[leader], [rows[place] for place in rivals])))
    out = unknown.copy()
    for place, tie in zip(rivals, tied, strict=True):
        out[place] = Standing(False, bool(tie))
    out[leader] = Standing(not tied.any(), bool(tied.any()))
    return out


def _leader(rows: Sequence[np.ndarray]) -> int:
    """The row with the best mean; one with diverged seeds, which has no mean of all of them, only
    if it wins more than half of all comparisons of a seed with a seed of the best so far.
    """

    def order(place: int) -> tuple[bool, float, list[float]]:
        fine = rows[place][np.isfinite(rows[place])].tolist()
        return len(fine) < len(rows[place]), math.fsum(fine) / len(fine), sorted(fine)

    first, *others = sorted(range(len(rows)), key=order)
    for place in others:
        if np.isinf(rows[place]).any() and _wins(rows[place], rows[first]) > 0.5:
            first = place
    return first


def _wins(row: np.ndarray, other: np.ndarray) -> float:
    """The share of all pairs of seeds in which a row is better; a tie is half a win."""
    return float((row[:, None] < other).mean() + (row[:, None] == other).mean() / 2)


def _tells(p: float | np.ndarray) -> np.ndarray:
    return np.asarray(p) <= LEVEL * (1 + ROUNDING)


def _chances(leader: np.ndarray, rivals: Sequence[np.ndarray]) -> np.ndarray:
    """The p-value of each rival: that it is no worse than the leader."""
    p = np.empty(len(rivals))
    for seeds in {len(rival) for rival in rivals}:
        places = [place for place, rival in enumerate(rivals) if len(rival) == seeds]
        new = np.stack([rivals[place] for place in places], axis=1)
        old = np.repeat(leader[:, None], len(places), axis=1)
        p[places] = tails(old, new, min(WAYS, WORK // (len(old) + len(new))))[0]
    return p

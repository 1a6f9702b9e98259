"""From a calibration to the margins of a policy; one at which a gate can't fall is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import escape
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from bench.core.errors import visible
from results.frames import as_dicts
from results.gate.calibration import SETTLED, Calibration
from results.gate.columns import LOOK, PARTS
from results.gate.layouts import metric, shown, what
from results.gate.seeded import MOST_SEEDS, RANK_LOSS
from results.ranks import smallest_p

REACH = 0.5
"""A margin may take so much of the way from the median to the worst value."""


@dataclass(frozen=True)
class Margins:
    """text: a policy as TOML, to be read and edited. written: how many margins it has. refused: why
    others are not in it.
    """

    text: str
    written: int
    refused: tuple[str, ...]


def margins(found: list[Calibration]) -> Margins:
    """A policy with the margins at which unchanged series pass, but for those at which what a gate
    is for would pass, too.
    """
    lines = [
        "# Margins with which these series pass unchanged in 95 % of the splits of their seeds."
    ]
    refused = dict[tuple[str, ...], str]()
    widest: dict[tuple[str, ...], float] = {}
    for calibration in found:
        for row in as_dicts(calibration.series):
            key = (*(row[axis] for axis in ("suite", *PARTS)), row["metric"].partition(":")[0])
            widest[key] = max(widest.get(key, 0.0), row["margin_that_passes"], row["margin"])
            if why := _refusal(row, calibration):
                refused[key] = why
    for key, margin in widest.items():
        if key in refused:
            lines += ["", f"# refused: {refused[key]}"]
            continue
        named = [
            f"{axis} = {_quoted(name)}"
            for axis, name in zip(("suite", *PARTS, "metric"), key, strict=True)
            if name
        ]
        lines += ["", "[[margin]]", *named, f"absolute = {_rounded_up(margin)!r}"]
    written = len(widest) - len(refused)
    return Margins("\n".join(lines) + "\n", written, tuple(refused.values()))


def _refusal(row: Mapping[str, Any], found: Calibration) -> str:
    """Why a series gets no margin, or empty."""
    margin, limit = max(row["margin_that_passes"], row["margin"]), REACH * row["room"]
    if math.isfinite(margin) and margin <= limit:
        return ""
    look = {name: row[name] for name in LOOK}
    name = f"{what(row)} {metric(row, look)}"
    if not math.isfinite(margin):
        return visible(f"{name}: {_boundless(found)}")
    usual, lost = (shown(row[number], look) for number in ("median", "room"))
    if not limit:
        return visible(f"{name}: the median of {usual} is the worst there is: train longer")
    said = f"{shown(margin, look)} gates nothing: from the median of {usual} it can lose {lost}"
    return visible(f"{name}: {said}; {', '.join(_ways_out(row, found, limit, look))}")


def _boundless(found: Calibration) -> str:
    """Why no margin at all would do."""
    if smallest_p(found.old, found.new) <= found.policy.alpha:
        return "seeds diverge, and no margin allows for that: train more stably"
    count = seeds_enough(math.inf, found.policy.alpha)
    return (
        f"{found.old} seeds against {found.new} bound no loss: {count} on each side are the fewest "
        "that can"
    )


def _ways_out(
    row: Mapping[str, Any], found: Calibration, limit: float, look: Mapping[str, Any]
) -> Iterator[str]:
    """The seeds, or the training, with which a margin at the limit would do."""
    spread = row["spread"]
    if row["margin"] > limit:
        yield "the metric's own is that wide: give a smaller one in a policy"
        return
    if not spread > 0:
        yield "more seeds would tell more"
        return
    count = seeds_enough(limit / spread, found.policy.alpha)
    if count > MOST_SEEDS:
        yield f"more than {MOST_SEEDS:,} seeds would be needed"
    else:
        yield f"about {count} seeds on each side would do (now {found.old} and {found.new})"
    steady = limit / _needed(found.old, found.new, found.policy.alpha)
    yield (
        f"or more training steps, until seeds differ by {shown(steady, look)} "
        f"(now {shown(spread, look)})"
    )


def seeds_enough(margin: float, alpha: float) -> int:
    """Seeds on each side with which an unchanged series passes at a margin in spreads of its seeds;
    one more than `MOST_SEEDS` where those would not do.
    """
    counts = range(2, MOST_SEEDS + 1)
    enough = (n for n in counts if smallest_p(n, n) <= alpha and _needed(n, n, alpha) <= margin)
    return next(enough, MOST_SEEDS + 1)


def _needed(old: int, new: int, alpha: float) -> float:
    """The margin, in spreads of the seeds, at which an unchanged series passes in `SETTLED` of the
    cases: the bound of a shift, and how far the shift itself strays.
    """
    reach = float(stdtrit(old + new - 2, 1 - alpha) + ndtri(SETTLED))
    return reach * math.sqrt(RANK_LOSS * (1 / old + 1 / new))


def _quoted(name: str) -> str:
    """A name as a TOML string that matches nothing but itself."""
    return json.dumps(escape(name), ensure_ascii=False)


def _rounded_up(value: float) -> float:
    """To two digits, never down."""
    if value <= 0 or not np.isfinite(value):
        return 0.0
    step = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / step) * step)

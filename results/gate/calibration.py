"""What a gate would see on a run's own seeds, and how often it would err: seeds against seeds.

The seeds of one run are dealt into an old and a new part, in every way or in some; nothing has
changed between them, so that an alarm is a false one. Then the new part is made worse on purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from bench.core.errors import UsageError
from bench.core.progress import Notify, tell_nobody
from results.frames import as_dicts, column
from results.gate.columns import BRIEF, LOOK
from results.gate.coverage import signs
from results.gate.judging import compare_sides
from results.gate.layouts import apart, metric, shown, what
from results.gate.levels import share_out
from results.gate.policy import Policy
from results.gate.reach import judged, room
from results.gate.sides import Side, refuse_gaps
from results.gate.state import middle
from results.ranks import shift, smallest_p, tails
from results.statistics import Interval, wilson
from results.tables import Layout

SPLITS = 252
SPOILT = 50
LOSSES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
SEEN, SETTLED = 0.8, 0.95
LEAST = 4


@dataclass(frozen=True, eq=False)
class Calibration:
    """verdicts: how many of the splits, between which nothing changed, ended how. seen: by relative
    loss of every deciding series at once, the share of splits in which the gate went red. series: a
    row for each deciding series: `sees`, the smallest loss of it alone that is seen in 80 % of the
    splits; `passes`, how often it passes unchanged; `margin_that_passes` in 95 % of the splits.
    """

    suite: str
    old: int
    new: int
    splits: int
    every: bool
    verdicts: dict[str, int]
    seen: dict[float, float]
    series: pd.DataFrame
    policy: Policy

    @property
    def false_alarms(self) -> Interval:
        """The share of red splits, with Wilson's interval."""
        return wilson(self.verdicts.get("REGRESSED", 0) / self.splits, self.splits)


def calibrate(
    run: Side,
    policy: Policy,
    new: int | None = None,
    splits: int = SPLITS,
    notify: Notify = tell_nobody,
) -> list[Calibration]:
    """One for each suite. new: how many seeds are dealt to the new part, half of them unless told.
    Raises UsageError for fewer than four seeds, or no deciding series.
    """
    refuse_gaps(run, "its seeds are dealt whole")
    return [_calibrate(run, suite, policy, new, splits, notify) for suite in run.suites]


def _calibrate(
    run: Side, suite: str, policy: Policy, new: int | None, splits: int, notify: Notify
) -> Calibration:
    side = _deciding(run, suite, policy)
    seeds = np.unique(column(side.cells, "seed"))
    count = len(seeds) // 2 if new is None else new
    if len(seeds) < LEAST:
        raise UsageError(
            f"{run.name} has {len(seeds)} seeds: expected at least {LEAST}; run it with `seeds=10`"
        )
    if not 1 <= count < len(seeds):
        raise UsageError(
            f"`new`: expected 1 to {len(seeds) - 1} of {len(seeds)} seeds, got {count}"
        )
    dealt = list(_splits(len(seeds), count, splits))
    verdicts: Counter[str] = Counter()
    caught: Counter[float] = Counter()
    for done, chosen in enumerate(dealt, 1):
        old, now = side.where("seed", seeds[~chosen]), side.where("seed", seeds[chosen])
        verdicts[compare_sides(old, now, policy).verdict] += 1
        for loss in LOSSES if done <= SPOILT else ():
            found = compare_sides(old, worsened(now, old, loss), policy)
            caught[loss] += found.verdict == "REGRESSED"
        notify("dealing seeds", done, len(dealt))
    return Calibration(
        suite,
        len(seeds) - count,
        count,
        len(dealt),
        len(dealt) == comb(len(seeds), count),
        dict(verdicts),
        {loss: caught[loss] / min(SPOILT, len(dealt)) for loss in LOSSES},
        _series(side, seeds, dealt, policy),
        policy,
    )


def _deciding(run: Side, suite: str, policy: Policy) -> Side:
    """A side with the series that decide, complete and directed."""
    side = run.where("suite", [suite])
    kept = judged(side.rows, policy)
    if kept.empty:
        raise UsageError(f"{run.name}: no series of {suite} decides: name some in a policy")
    return replace(side, rows=kept, primary=True).where("cell_id", column(kept, "cell_id"))


def _splits(seeds: int, new: int, most: int) -> Iterator[np.ndarray]:
    """Which seeds are new, bool [seeds]: every way, or `most` drawn ones."""
    every = comb(seeds, new) <= most
    rng = np.random.default_rng(0)
    drawn = (
        rng.permutation([*combinations(range(seeds), new)])
        if every
        else (rng.choice(seeds, new, replace=False) for _ in range(most))
    )
    for chosen in drawn:
        mask = np.zeros(seeds, bool)
        mask[list(chosen)] = True
        yield mask


def parts(side: Side, most: int) -> Iterator[tuple[Side, Side]]:
    """A run's seeds dealt into halves, in every way or in `most` drawn ones."""
    seeds = np.unique(column(side.cells, "seed"))
    for chosen in _splits(len(seeds), len(seeds) // 2, most):
        yield side.where("seed", seeds[~chosen]), side.where("seed", seeds[chosen])


def worsened(now: Side, old: Side, loss: float) -> Side:
    """A side whose every value is worse by a share of the old median, and of nothing else."""
    rows = now.rows
    usual = old.rows.groupby("id")["value"].median().abs()
    moved = (
        column(rows, "value") + signs(rows) * loss * usual.reindex(column(rows, "id")).to_numpy()
    )
    return replace(now, rows=rows.assign(value=moved, outcomes=""))


def _series(side: Side, seeds: np.ndarray, dealt: list[np.ndarray], policy: Policy) -> pd.DataFrame:
    """What can be seen of each series alone."""
    first = side.rows.drop_duplicates("id")
    about, sign = as_dicts(first), signs(first)
    wide = side.rows.pivot(index="seed", columns="id", values="value").reindex(seeds)
    value = wide[[row["id"] for row in about]].to_numpy(float)
    value = np.where(np.isnan(value), np.inf, value * sign)
    usual = np.array([abs(middle(value[:, i])) for i in range(len(about))])
    usual[~np.isfinite(usual)] = 0.0
    margins = np.array([policy.margin_at(*one) for one in zip(about, usual, strict=True)])
    seen = _seen(value, usual, margins, dealt, policy)
    upper = np.array([shift(value[~new], value[new], policy.alpha).high for new in dealt])
    rows = []
    for i, row in enumerate(about):
        sees = [loss for loss in LOSSES if usual[i] > 0 and seen[loss][i] >= SEEN * len(dealt)]
        needed = float(np.quantile(upper[:, i], SETTLED, method="higher"))
        finite = value[np.isfinite(value[:, i]), i]
        rows.append(
            {
                **{name: row[name] for name in ("suite", "task", *BRIEF, *LOOK)},
                "median": middle(value[:, i]) * sign[i] + 0.0,
                "spread": float(finite.std(ddof=1)) if len(finite) > 1 else np.nan,
                "margin": float(margins[i]),
                "passes": float((upper[:, i] <= margins[i]).mean()),
                "sees": min(sees) if sees else np.nan,
                "margin_that_passes": max(needed, 0.0),
                "room": room(middle(value[:, i]) * sign[i], row["worst"], row["direction"]),
            }
        )
    return pd.DataFrame(rows)


def _seen(
    value: np.ndarray,
    usual: np.ndarray,
    margins: np.ndarray,
    dealt: list[np.ndarray],
    policy: Policy,
) -> dict[float, np.ndarray]:
    """By relative loss, in how many of the splits each series would be red, [series]."""
    count = value.shape[1]
    least = smallest_p(int((~dealt[0]).sum()), int(dealt[0].sum()))
    level = share_out(policy, 0, count, least).series
    seen = {loss: np.zeros(count, int) for loss in LOSSES}
    for new in dealt:
        for loss in LOSSES:
            spoilt = value[new] + loss * usual
            p = tails(value[~new], spoilt)[0] * count
            moved = shift(value[~new], spoilt, policy.alpha).estimate
            seen[loss] += (p <= level) & (moved > margins)
    return seen


def layout(found: Calibration) -> Layout:
    """The series as a table, and what holds for the suite under it."""
    heads = [
        "what",
        "metric",
        "median",
        "spread",
        "margin",
        "passes",
        "sees alone",
        "would pass at",
    ]
    rows, told = [], apart(as_dicts(found.series))
    for row in as_dicts(found.series):
        facts = {name: row[name] for name in LOOK}
        numbers = [shown(row[name], facts) for name in ("median", "spread", "margin")]
        sees = "–" if np.isnan(row["sees"]) else f"{100 * row['sees']:g} %"
        cells = [
            what(row, told),
            metric(row, facts),
            *numbers,
            f"{100 * row['passes']:.0f} %",
            sees,
        ]
        rows.append([(cell, "") for cell in (*cells, shown(row["margin_that_passes"], facts))])
    title = f"{found.suite}: {found.old} seeds against {found.new}, nothing changed"
    return Layout(title, heads, rows, ["model"] * len(rows), list(_notes(found)), (0, 1))


def _notes(found: Calibration) -> Iterator[str]:
    at, red = found.false_alarms, found.verdicts.get("REGRESSED", 0)
    how = "all" if found.every else "drawn"
    yield (
        f"false alarms: {red} of {found.splits} splits ({how}), {100 * at.mean:.1f} % "
        f"({100 * (at.low or 0):.1f}–{100 * (at.high or 0):.1f} %; splits share seeds, so that the "
        f"interval is too narrow); promised: at most {100 * found.policy.alpha:g} %"
    )
    others = ", ".join(f"{count} {name}" for name, count in sorted(found.verdicts.items()))
    yield f"verdicts without a change: {others}"
    seen = ", ".join(f"{100 * loss:g} %: {100 * share:.0f} %" for loss, share in found.seen.items())
    yield f"every series worse by so much is seen in so many splits: {seen}"
    if np.isnan(column(found.series, "sees")).all():
        yield (
            f"no loss of one series alone can be seen: {len(found.series)} deciding series are too "
            f"many for {found.old} seeds against {found.new}, or the margins are wider than 100 %"
        )
    yield (
        "sees alone: the smallest loss of this series alone that is seen in 80 % of the splits. "
        "would pass at: the margin with which it passes unchanged in 95 % of them"
    )


def as_rows(found: list[Calibration]) -> pd.DataFrame:
    """Every series as a row, with what holds for its suite."""
    parts: list[Any] = [
        one.series.assign(
            seeds_before=one.old,
            seeds_after=one.new,
            splits=one.splits,
            false_alarms=one.verdicts.get("REGRESSED", 0),
            inconclusive=one.verdicts.get("INCONCLUSIVE", 0),
        )
        for one in found
    ]
    return pd.concat(parts, ignore_index=True)

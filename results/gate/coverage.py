"""What of a baseline can be compared at all. Fail-closed: what is missing never passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from results.frames import among, column, pick
from results.gate.sides import FACTS, LEFT, Side
from results.rows import BAD

ABOUT = (
    "suite",
    "tier",
    "task",
    "series",
    "cell_id",
    "dataset",
    "model",
    "source_model",
    "attack",
    "norm",
    "epsilon",
    "metric",
    "metric_version",
    "direction",
    "dataset_fingerprint",
    "n",
    "primary",
    "role",
    *FACTS,
)


@dataclass(frozen=True, eq=False)
class Values:
    """One side's numbers for some series: value [seeds, series], larger worse or better as the
    metric has it, infinitely bad where the cell diverged, nan where there is none.
    """

    seeds: np.ndarray
    value: np.ndarray
    diverged: np.ndarray


@dataclass(frozen=True, eq=False)
class Matched:
    """about: what is known of each series of the baseline, by id. problems: why some can't be
    compared. new: series that the baseline has not. old, now: the numbers of all, in the order of
    `about`. bad: the cells of the new run that failed or are left. before, after: the rows.
    """

    about: pd.DataFrame
    problems: dict[str, str]
    new: pd.DataFrame
    old: Values
    now: Values
    bad: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame


def match(base: Side, new: Side, suite: str) -> Matched:
    """The series of one suite on both sides."""
    before, after = (_only(side, suite) for side in (base, new))
    known = _about(before.rows)
    fresh = _about(after.rows)
    known = _with_diverged(known, fresh, before)
    if not base.primary and new.primary:
        for name in ("primary", "role"):
            known[name] = fresh[name].reindex(known.index).fillna(known[name])
    problems = dict(_problems(known, fresh, before, after))
    sign = _sign(known)
    old = _values(known, before, sign)
    now = _values(known, after, sign)
    for ids, text in (
        (_where(known, np.isnan(old.value).any(0)), "the baseline lacks seeds"),
        (_where(known, np.isnan(now.value).any(0)), "seeds are missing"),
    ):
        side, values = (before, old) if text.startswith("the") else (after, now)
        for one in ids:
            numbers = values.value[:, known.index.get_loc(one)]
            problems.setdefault(one, _lacking(text, one, known, side, values.seeds, numbers))
    listed = pick(fresh, ~among(fresh.index, known.index))
    bad = pick(after.cells, among(column(after.cells, "status"), (*BAD, LEFT)))
    return Matched(
        known,
        problems,
        listed,
        old,
        now,
        bad,
        before.rows,
        after.rows,
    )


def _only(side: Side, suite: str) -> Side:
    rows, cells = (
        pick(table, column(table, "suite") == suite) for table in (side.rows, side.cells)
    )
    return Side(side.name, rows, cells, side.primary)


def _where(table: pd.DataFrame, mask: Any) -> list[str]:
    """The index where `mask` holds."""
    return list(pick(table, mask).index)


def _about(rows: pd.DataFrame) -> pd.DataFrame:
    """The facts of each series, from its first row; `many_n`, `many_data`: whether its seeds
    disagree about them.
    """
    grouped = rows.groupby("id", sort=False)
    about = grouped[[*ABOUT]].first()
    about["epsilon"] = grouped["epsilon"].first().to_numpy(float)
    return about.assign(
        many_n=grouped["n"].nunique(dropna=False) > 1,
        many_data=grouped["dataset_fingerprint"].nunique() > 1,
        none=grouped["n"].min() == 0,
    )


def _with_diverged(known: pd.DataFrame, fresh: pd.DataFrame, before: Side) -> pd.DataFrame:
    """The baseline's series, with those of cells that diverged there for every seed."""
    lost = among(column(fresh, "cell_id"), _diverged(before)) & ~among(fresh.index, known.index)
    return cast(pd.DataFrame, pd.concat([known, pick(fresh, lost)])) if lost.any() else known


def _diverged(side: Side) -> set[str]:
    """The cells that diverged for some seed."""
    return set(column(side.cells, "cell_id")[column(side.cells, "status") == "diverged"])


def _sign(about: pd.DataFrame) -> np.ndarray:
    """+1 where larger is worse."""
    return np.where(about["direction"] == "higher", -1.0, 1.0)


def _values(about: pd.DataFrame, side: Side, sign: np.ndarray) -> Values:
    seeds = np.unique(column(side.cells, "seed").astype(int))
    value = np.full((len(seeds), len(about)), np.nan)
    place = pd.Series(np.arange(len(about)), about.index)
    kept = pick(side.rows, among(column(side.rows, "id"), about.index))
    columns = place.reindex(column(kept, "id")).to_numpy(int)
    value[np.searchsorted(seeds, column(kept, "seed")), columns] = column(kept, "value")
    diverged = np.zeros_like(value, bool)
    lost = pick(side.cells, column(side.cells, "status") == "diverged")
    cells = column(about, "cell_id")
    for cell_id, seed in zip(lost["cell_id"], lost["seed"], strict=True):
        diverged[np.searchsorted(seeds, seed), cells == cell_id] = True
    value = np.where(diverged, sign * np.inf, value)
    return Values(seeds, value, diverged)


def _lacking(
    text: str, one: str, known: pd.DataFrame, side: Side, seeds: np.ndarray, numbers: np.ndarray
) -> str:
    """What became of the seeds that a series lacks."""
    missing = seeds[np.isnan(numbers)]
    here = column(side.cells, "cell_id") == known.at[one, "cell_id"]
    cells = pick(side.cells, here & among(column(side.cells, "seed"), missing))
    said = dict.fromkeys(
        f"{status}: {reason}" if reason else status
        for status, reason in zip(cells["status"], cells["reason"], strict=True)
        if status != "ok"
    )
    shown = ", ".join(str(seed) for seed in missing[:8]) + (", …" if len(missing) > 8 else "")
    return f"{text}: {shown} of {len(seeds)}" + (f" ({'; '.join(said)})" if said else "")


def _problems(
    known: pd.DataFrame, fresh: pd.DataFrame, before: Side, after: Side
) -> Iterator[tuple[str, str]]:
    """Why a series can't be compared, for those that can't."""
    there = known.index.isin(fresh.index)
    both = known.index[there]
    old, new = known.loc[both], fresh.loc[both]
    checks: tuple[tuple[Any, str, str], ...] = (
        (_differ(old, new, "dataset_fingerprint"), "another data set", "dataset_fingerprint"),
        (old["many_data"] | new["many_data"], "seeds on several data sets", "dataset_fingerprint"),
        (_differ(old, new, "direction"), "another direction", "direction"),
        (
            ~old["conditional"].astype(bool)
            & (_differ(old, new, "n") | old["many_n"] | new["many_n"]),
            "another number of examples",
            "n",
        ),
    )
    for wrong, text, name in checks:
        for one in both[np.asarray(wrong, bool)]:
            yield one, f"{text}: {_short(old.at[one, name])}, now {_short(new.at[one, name])}"
    statuses = _statuses(after)
    every = _by_cell(fresh)
    diverged = _diverged(after)
    for one, about in pick(known, ~there).to_dict("index").items():
        if about["cell_id"] not in diverged or about["cell_id"] in every:
            yield str(one), _why_missing(about, known, fresh, every, statuses)


def _differ(old: pd.DataFrame, new: pd.DataFrame, column: str) -> np.ndarray:
    a, b = old[column], new[column]
    return ((a != b) & ~(a.isna() & b.isna())).to_numpy(bool)


def _short(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else str(value)[:12]


def _statuses(side: Side) -> dict[str, str]:
    """What the cells that are not ok say, by cell."""
    poor = pick(side.cells, column(side.cells, "status") != "ok")
    return {
        cell_id: f"{status}: {reason}" if reason else status
        for cell_id, status, reason in zip(
            poor["cell_id"], poor["status"], poor["reason"], strict=True
        )
    }


def _by_cell(fresh: pd.DataFrame) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one, cell_id in zip(fresh.index, fresh["cell_id"], strict=True):
        found.setdefault(cell_id, []).append(cast(str, one))
    return found


def _why_missing(
    about: Mapping[str, Any],
    known: pd.DataFrame,
    fresh: pd.DataFrame,
    every: Mapping[str, list[str]],
    statuses: Mapping[str, str],
) -> str:
    cell_id, stem = about["cell_id"], _stem(about["metric"])
    if cell_id not in every:
        if cell_id in statuses:
            return statuses[cell_id]
        parts = cell_id.partition("?")[0]
        others = [other for other in every if other.partition("?")[0] == parts]
        if others:
            ours, theirs = (
                name.partition("?")[2] or "the usual ones" for name in (cell_id, others[0])
            )
            return f"other settings: {ours}, now {theirs}"
        return "not in the new run"
    here = fresh.loc[every[cell_id]]
    same = here[[_stem(name) == stem for name in here["metric"]]]
    if same.empty:
        return f"{about['metric']} is not measured any more"
    if not (same["metric"] == about["metric"]).any():
        return f"another judge or grid: {about['metric']}, now {same['metric'].iloc[0]}"
    same = same[same["metric"] == about["metric"]]
    if not (same["metric_version"] == about["metric_version"]).any():
        now = same["metric_version"].iloc[0]
        return f"another version of the metric: {about['metric_version']:g}, now {now:g}"
    ours = known[(known["cell_id"] == cell_id) & (known["metric"] == about["metric"])]
    grids = (", ".join(f"{e:g}" for e in side["epsilon"]) for side in (ours, same))
    return "another epsilon grid: {}, now {}".format(*grids)


def _stem(metric: str) -> str:
    """A metric's name without the judge's hash and the grid."""
    name, at, rest = metric.partition("@")
    if ":" in rest:
        return f"{name}@{rest.partition(':')[0]}"
    return name if at and rest[:1].isdigit() else metric

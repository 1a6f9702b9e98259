"""What of a baseline can be compared at all. Fail-closed: what is missing never passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from results.frames import among, as_dicts, column, pick
from results.gate.columns import FACTS, SERIES
from results.gate.sides import Side

ABOUT = (*SERIES, "dataset_fingerprint", "n", "primary", "role", *FACTS)


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
    """about: what is known of each series of the baseline, by id. sign: of each, +1 where larger is
    worse. problems: why some can't be compared. new: series that the baseline has not. old, now:
    the numbers of all, in the order of `about`. bad: the cells of the new run that failed or are
    left. gone: cells of the baseline that gave no value there, and are not there now. unknown: why
    series that are new can't be taken for new: their cells failed in the baseline. before, after:
    the rows.
    """

    about: pd.DataFrame
    sign: np.ndarray
    problems: dict[str, str]
    new: pd.DataFrame
    old: Values
    now: Values
    bad: pd.DataFrame
    gone: pd.DataFrame
    unknown: dict[str, str]
    before: pd.DataFrame
    after: pd.DataFrame


def match(base: Side, new: Side, suite: str) -> Matched:
    """The series of one suite on both sides."""
    before, after = (side.where("suite", [suite]) for side in (base, new))
    said_before, said_after = _said(before), _said(after)
    known = _about(before.rows)
    fresh = _about(after.rows)
    known = _with_diverged(known, fresh, before)
    if not base.primary and new.primary:
        for name in ("primary", "role"):
            known[name] = fresh[name].reindex(known.index).fillna(known[name])
    problems = dict(_problems(known, fresh, after, said_after))
    sign = signs(known)
    old = _values(known, before, sign)
    now = _values(known, after, sign)
    cell_ids = column(known, "cell_id")
    for said, values, text in (
        (said_before, old, "the baseline lacks seeds"),
        (said_after, now, "seeds are missing"),
    ):
        for place in np.flatnonzero(np.isnan(values.value).any(0)):
            one, cell = str(known.index[place]), said.get(cell_ids[place], {})
            if one not in problems:
                problems[one] = _lacking(text, values.seeds, values.value[:, place], cell)
    listed = pick(fresh, ~among(fresh.index, known.index))
    return Matched(
        known,
        sign,
        problems,
        listed,
        old,
        now,
        after.gaps,
        _gone(before, after, known),
        _unknown(listed, before),
        before.rows,
        after.rows,
    )


def _gone(before: Side, after: Side, known: pd.DataFrame) -> pd.DataFrame:
    """Cells of the baseline without a series, which the new run does not have."""
    cells = before.cells.drop_duplicates("cell_id")
    names = column(cells, "cell_id")
    there = among(names, column(after.cells, "cell_id")) | among(names, column(known, "cell_id"))
    return pick(cells, ~there & (column(cells, "status") != "skipped"))


def _unknown(listed: pd.DataFrame, before: Side) -> dict[str, str]:
    gaps = as_dicts(before.gaps)
    said = {cell["cell_id"]: f"{cell['status']} in the baseline" for cell in gaps}
    cells = zip(listed.index, column(listed, "cell_id"), strict=True)
    return {str(one): said[cell_id] for one, cell_id in cells if cell_id in said}


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


def signs(about: pd.DataFrame) -> np.ndarray:
    """+1 where larger is worse, -1 where larger is better."""
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
    places = pd.Series(np.arange(len(about))).groupby(column(about, "cell_id")).indices
    for cell_id, seed in zip(column(lost, "cell_id"), column(lost, "seed"), strict=True):
        diverged[np.searchsorted(seeds, seed), places.get(cell_id, [])] = True
    value = np.where(diverged, sign * np.inf, value)
    return Values(seeds, value, diverged)


def _lacking(text: str, seeds: np.ndarray, numbers: np.ndarray, said: Mapping[int, str]) -> str:
    """What became of the seeds that a series lacks; said: of the cell, by seed."""
    missing = seeds[np.isnan(numbers)]
    shown = ", ".join(str(seed) for seed in missing[:8]) + (", …" if len(missing) > 8 else "")
    reasons = dict.fromkeys(said[seed] for seed in missing.tolist() if seed in said)
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return f"{text}: {shown} of {len(seeds)}{why}"


def _said(side: Side) -> dict[str, dict[int, str]]:
    """What cells that are not ok say, by cell and seed."""
    found: dict[str, dict[int, str]] = {}
    for cell in as_dicts(pick(side.cells, column(side.cells, "status") != "ok")):
        found.setdefault(cell["cell_id"], {})[int(cell["seed"])] = ending(cell)
    return found


def ending(cell: Mapping[str, Any]) -> str:
    """How a cell ended, and why."""
    return ": ".join(filter(None, [cell["status"], cell["reason"]]))


def _problems(
    known: pd.DataFrame, fresh: pd.DataFrame, after: Side, said: dict[str, dict[int, str]]
) -> Iterator[tuple[str, str]]:
    """Why a series can't be compared, for those that can't."""
    there = known.index.isin(fresh.index)
    both = known.index[there]
    old, new = known.loc[both], fresh.loc[both]
    checks: tuple[tuple[Any, str, str], ...] = (
        (_differ(old, new, "tier"), "another tier", "tier"),
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
    cells = _by_cell(fresh)
    alike = {cell_id.partition("?")[0]: cell_id for cell_id in reversed(cells)}
    missing = Missing(_by_cell(known), cells, alike, said)
    diverged = _diverged(after)
    for one, about in pick(known, ~there).to_dict("index").items():
        if about["cell_id"] not in diverged or about["cell_id"] in cells:
            yield str(one), missing.why(about)


def _differ(old: pd.DataFrame, new: pd.DataFrame, column: str) -> np.ndarray:
    a, b = old[column], new[column]
    return ((a != b) & ~(a.isna() & b.isna())).to_numpy(bool)


def _short(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else str(value)[:12]


def _by_cell(about: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The series of each cell."""
    found: dict[str, list[dict[str, Any]]] = {}
    for series in as_dicts(about[["cell_id", "metric", "metric_version", "epsilon"]]):
        found.setdefault(series["cell_id"], []).append(series)
    return found


@dataclass(frozen=True)
class Missing:
    """What tells why series are not there: both sides' series by cell, cells by their parts
    without settings, and what the cells that are not ok say, by cell and seed.
    """

    known: dict[str, list[dict[str, Any]]]
    fresh: dict[str, list[dict[str, Any]]]
    alike: dict[str, str]
    said: dict[str, dict[int, str]]

    def why(self, about: Mapping[str, Any]) -> str:
        """Why a series of the baseline is not in the new run."""
        cell_id, name = about["cell_id"], about["metric"]
        if cell_id not in self.fresh:
            texts = self.said.get(cell_id, {}).values()
            return next(reversed(texts), "") or self._elsewhere(cell_id)
        same = [one for one in self.fresh[cell_id] if _stem(one["metric"]) == _stem(name)]
        if not same:
            return f"{name} is not measured any more"
        named = [one for one in same if one["metric"] == name]
        if not named:
            return f"another judge or grid: {name}, now {same[0]['metric']}"
        versions = {one["metric_version"] for one in named}
        if about["metric_version"] not in versions:
            now = min(versions)
            return f"another version of the metric: {about['metric_version']:g}, now {now:g}"
        ours = [one for one in self.known[cell_id] if one["metric"] == name]
        grids = (", ".join(f"{one['epsilon']:g}" for one in side) for side in (ours, named))
        return "another epsilon grid: {}, now {}".format(*grids)

    def _elsewhere(self, cell_id: str) -> str:
        other = self.alike.get(cell_id.partition("?")[0])
        if other is None:
            return "not in the new run"
        ours, theirs = (name.partition("?")[2] or "the usual ones" for name in (cell_id, other))
        return f"other settings: {ours}, now {theirs}"


def _stem(metric: str) -> str:
    """A metric's name without the judge's hash and the grid."""
    name, at, rest = metric.partition("@")
    if ":" in rest:
        return f"{name}@{rest.partition(':')[0]}"
    return name if at and rest[:1].isdigit() else metric

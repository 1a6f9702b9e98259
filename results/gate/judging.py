"""Verdicts: PASS, REGRESSED, IMPROVED, INCONCLUSIVE for what can be compared, and what can't.

A series passes where the data rule out a loss of its margin; it regressed where it is worse beyond
chance and beyond the margin. What identical values show needs no test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.core.errors import UsageError
from results.frames import as_dicts, column, pick
from results.gate.columns import AXES, LOOK
from results.gate.coverage import Matched, ending, match
from results.gate.levels import share_out
from results.gate.outcomes import Change
from results.gate.paired import deterministic, paired, paired_rows, undetermined
from results.gate.policy import Policy, unmatched
from results.gate.seeded import Joint, joint_of, seeded_rows
from results.gate.sides import LEFT, Side
from results.gate.state import State, named
from results.gate.verdicts import COLUMNS, EMPTY, SEVERITY, Comparison
from results.ranks import WAYS, attainable_p

UNCOMPARED = ("NEW", "IGNORED", "INCOMPARABLE", "FAILED")


def compare_sides(base: Side, new: Side, policy: Policy, limit: int = WAYS) -> Comparison:
    """Hold a run against a baseline. Raises UsageError where they have no suite in common, or were
    run at other tiers.
    """
    common = [suite for suite in base.suites if suite in new.suites]
    if not common:
        raise UsageError(
            f"nothing to compare: {base.name} is of the suite {', '.join(base.suites)}, "
            f"{new.name} of {', '.join(new.suites)}"
        )
    _refuse_tiers(base, new, common)
    rows: list[dict[str, Any]] = []
    for suite in dict.fromkeys([*base.suites, *new.suites]):
        found = match(base, new, suite)
        rows += _judge_suite(suite, found, policy, limit) if suite in base.suites else _new(found)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    order = [
        ({"suite": 0, "cell": 1, "series": 1}[level], SEVERITY.index(verdict), not primary, -worst)
        for level, verdict, primary, worst in zip(
            table["level"],
            table["verdict"],
            table["primary"],
            (table["loss"] / table["margin"].where(table["margin"] > 0, 1e-9)).fillna(0),
            strict=True,
        )
    ]
    places = sorted(range(len(table)), key=order.__getitem__)
    facts = {
        metric: {"title": title, "percent": percent, "digits": int(digits)}
        for side in (new, base)
        for metric, title, percent, digits in _titles(side.rows)
    }
    about = as_dicts(pick(table, column(table, "level") == "series"))
    notes = (*_notes(base, new), *unmatched(policy, about))
    return Comparison(
        base.name, new.name, policy, table.iloc[places].reset_index(drop=True), facts, notes
    )


def _titles(rows: pd.DataFrame) -> Iterator[tuple[str, str, bool, float]]:
    columns = (column(rows, name) for name in ("metric", *LOOK))
    yield from dict.fromkeys(zip(*columns, strict=True))


def _refuse_tiers(base: Side, new: Side, suites: list[str]) -> None:
    for suite in suites:
        before, after = (
            set(side.cells["tier"][side.cells["suite"] == suite]) for side in (base, new)
        )
        if not before & after:
            raise UsageError(
                f"{base.name} is of the tier {', '.join(sorted(before))} of {suite}, {new.name} of "
                f"{', '.join(sorted(after))}: run the tier of the baseline"
            )


def _notes(base: Side, new: Side) -> Iterator[str]:
    before, after = (sorted(set(side.rows["device"])) for side in (base, new))
    if before and after and before != after:
        yield f"measured on {', '.join(after)}, the baseline on {', '.join(before)}"
    if not base.primary and not new.primary:
        yield (
            "neither table says which series are primary: all decide (a run's folder, a baseline "
            "or a policy would say)"
        )


def _judge_suite(suite: str, found: Matched, policy: Policy, limit: int) -> list[dict[str, Any]]:
    about = found.about.to_dict("index")
    state = State(suite, found, policy, about)
    rows: list[dict[str, Any]] = [*_cells(suite, found)]
    seeded: list[int] = []
    for place, (one, facts) in enumerate(about.items()):
        if state.ignored[place]:
            rows.append({**state.row(place), "verdict": "IGNORED", "reason": state.ignored[place]})
        elif one in found.problems:
            rows.append(
                {**state.row(place), "verdict": "INCOMPARABLE", "reason": found.problems[one]}
            )
        elif facts["direction"] == "none":
            continue
        elif state.identical[place]:
            rows.append(state.identical_row(place))
        else:
            seeded.append(place)
    tested, joint = _test(state, seeded, limit)
    rows += tested
    rows += _new_series(found)
    return [_suite_row(suite, rows, joint, state), *rows]


def _new(found: Matched) -> list[dict[str, Any]]:
    """A suite that the baseline has not: it decides nothing, but its cells may not fail."""
    suite = next(iter(column(found.after, "suite")), "")
    return [*_cells(str(suite), found), *_new_series(found)]


def _new_series(found: Matched) -> Iterator[dict[str, Any]]:
    for one, facts in found.new.to_dict("index").items():
        why = found.unknown.get(str(one))
        verdict = "INCOMPARABLE" if why else "NEW"
        yield {**named(facts), "verdict": verdict, "reason": why or "not in the baseline"}


def _cells(suite: str, found: Matched) -> Iterator[dict[str, Any]]:
    """The cells that failed, are left, or are gone."""
    for cell in as_dicts(found.bad):
        verdict = "INCOMPARABLE" if cell["status"] == LEFT else "FAILED"
        yield _cell(suite, cell, verdict, ending(cell))
    for cell in as_dicts(found.gone):
        text = f"not in the new run ({cell['status']} in the baseline)"
        yield _cell(suite, cell, "INCOMPARABLE", text)


def _cell(suite: str, cell: dict[str, Any], verdict: str, reason: str) -> dict[str, Any]:
    named = {name: cell[name] for name in ("tier", "cell_id", "seed", *AXES)}
    return {**EMPTY, **named, "level": "cell", "suite": suite, "verdict": verdict, "reason": reason}


def _test(state: State, places: list[int], limit: int) -> tuple[list[dict[str, Any]], Joint]:
    """The rows of what has to be tested: paired, deterministic, seeded."""
    rows: list[dict[str, Any]] = []
    outcomes: list[tuple[int, Change]] = []
    seeded: list[tuple[int, str]] = []
    for place in places:
        facts = state.about[place]
        if facts["kind"] == "deterministic":
            text = undetermined(state, place)
            if not text:
                rows.append(deterministic(state, place))
                continue
            seeded.append((place, text))
        elif facts["kind"] == "paired" and (found := paired(state, place)) is not None:
            outcomes.append((place, found))
        else:
            seeded.append((place, ""))
    old, now = len(state.found.old.seeds), len(state.found.now.seeds)
    deciding = [place for place, _ in seeded if state.primary[place]]
    count = sum(state.primary[place] for place, _ in outcomes)
    least = attainable_p(old, now, len(deciding), limit)
    levels = share_out(state.policy, count, len(deciding), least)
    rows += paired_rows(state, outcomes, levels.paired)
    rows += seeded_rows(state, seeded, levels.series, limit)
    return rows, joint_of(state, deciding, levels.joint, least, limit)


def _suite_row(
    suite: str, rows: list[dict[str, Any]], joint: Joint, state: State
) -> dict[str, Any]:
    """The suite's verdict: the worst of what decides."""
    deciding = [row for row in rows if row["level"] == "series" and row["primary"]]
    verdicts = {row["verdict"] for row in deciding} - {"NEW", "IGNORED"}
    uncovered = {row["verdict"] for row in rows} & {"FAILED", "INCOMPARABLE"}
    series = [row for row in rows if row["level"] == "series"]
    compared = [row for row in series if row["verdict"] not in UNCOMPARED]
    decided = any(row["primary"] for row in compared) or all(
        row["kind"] == "identical" for row in compared
    )
    if joint.regressed:
        verdicts.add("REGRESSED")
    if joint.improved:
        verdicts.add("IMPROVED")
    if not compared or not decided:
        uncovered.add("INCOMPARABLE")
    every = verdicts | uncovered or {"PASS"}
    return {
        **EMPTY,
        "level": "suite",
        "suite": suite,
        "tier": next(iter(state.tiers), ""),
        "verdict": min(every, key=SEVERITY.index),
        "primary": True,
        "kind": "joint",
        "p": joint.p_worse if joint.tested else math.nan,
        "seeds_before": len(state.found.old.seeds),
        "seeds_after": len(state.found.now.seeds),
        "reason": _joint_text(joint, bool(compared), decided, state),
    }


def _joint_text(joint: Joint, compared: bool, decided: bool, state: State) -> str:
    if not compared:
        return "nothing could be compared"
    if not decided:
        return "no series that decides was compared: a suite's blocks name them, or a policy"
    if not joint.tested:
        return "no deciding series changed"
    if joint.least_p > state.policy.alpha:
        old, now = len(state.found.old.seeds), len(state.found.now.seeds)
        return (
            f"{old} against {now} seeds can't show any change: their smallest p is "
            f"{joint.least_p:.2g}"
        )
    if not joint.level:
        return "one deciding series changed: it stands for the suite"
    text = f"{joint.tested} changed deciding series as one: p = {joint.p_worse:.3g}"
    if joint.level:
        text += f" (red from {joint.level:.2g})"
    if joint.regressed:
        return f"{text}, worse by more than the margins, {joint.most} the most"
    if joint.improved:
        return f"{text}; better, p = {joint.p_better:.3g}"
    return text

"""A claim held against what was measured: both numbers seed by seed, and a verdict.

The interval is that of the difference of the two numbers, paired by seed. Above 0 the claim holds:
"reproduced" where our protocol is the paper's, else "direction". Below 0 it is "contradicted", and
where the interval holds 0, "not resolvable". A claim that no row of ours can speak to is "not
comparable", one that lacks a number "not measured".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd

from results import claims, published
from results.claims import Claim, Operand
from results.evidence import Evidence, Number, from_records
from results.published import Published, not_comparable
from results.statistics import interval

HOLDS = ("reproduced", "direction")
JUDGED = (*HOLDS, "contradicted", "not resolvable")
"""The verdicts that rest on numbers."""

VERDICTS = (*JUDGED, "not comparable", "not measured")
FOUND: dict[str, Any] = {
    "verdict": "not measured",
    "larger": None,
    "smaller": None,
    "low": None,
    "high": None,
    "over": "",
    "seeds": "",
    "suite": "",
    "tier": "",
    "settings": "",
    "larger_settings": "",
    "smaller_settings": "",
    "commit": "",
    "code": "",
    "date": "",
    "baseline": "",
    "note": "",
}
"""What a judgement says, and where nothing was measured."""

OF_A_RUN = ("id", "claim", "larger", "smaller", "low", "high", "published", "verdict", "source")
Sides = tuple[list[Number], list[Number]]


def judge(manifest: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row for every claim that a run's blocks ask about. `verdict` says ok where the claim holds,
    `finding` whether under the paper's protocol.
    """
    asked = {name for block in manifest["blocks"] for name in block.get("claims", [])}
    evidence = from_records(records.values())
    rows = []
    for claim in (claim for name in sorted(asked) for claim in claims.load(name)):
        found = judged(claim, evidence)
        ends = {"low": -math.inf, "high": math.inf} if found["over"] == "nothing" else {}
        said = "ok" if found["verdict"] in HOLDS else found["verdict"]
        about = {"id": claim.id, "claim": claim.text, "published": claim.printed}
        about |= {"source": claim.file, "verdict": said, "finding": found["verdict"]}
        rows.append({**found, **ends, **about})
    return pd.DataFrame(rows, columns=[*OF_A_RUN, "finding"])


def judged(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    """The verdict that a run gives on a claim, under the columns of `FOUND`."""
    if claim.not_comparable:
        return {**FOUND, "verdict": "not comparable", "note": claim.not_comparable}
    operands = (claim.larger, claim.smaller)
    found = [_numbers(claim, operand, evidence) for operand in operands]
    twofold = [operand for operand, numbers in zip(operands, found, strict=True) if _mixed(numbers)]
    if twofold:
        return {**FOUND, "note": f"several rows are {twofold[0].label}: other settings apart"}
    sides = _paired(claim, found)
    if not sides[0] and not sides[1]:
        return FOUND
    measured = [numbers for numbers in sides if numbers]
    seeds = [number.seed for number in measured[0]]
    values = [_values(operand, side, seeds) for operand, side in zip(operands, sides, strict=True)]
    low, high, over = _difference(*values)
    unlike = _unlike(claim, sides, len(seeds))
    known = {} if over == "nothing" else {"low": low, "high": high}
    return {
        **FOUND,
        "verdict": _verdict(low, high, unlike),
        "larger": _mean(values[0]),
        "smaller": _mean(values[1]),
        **known,
        "over": over,
        "seeds": ",".join(map(str, seeds)),
        **_settings(sides),
        **_origin([number for numbers in measured for number in numbers]),
        "baseline": evidence.baseline,
        "note": "; ".join(filter(None, [unlike, _lost(claim, evidence)])),
    }


def _verdict(low: float, high: float, unlike: str) -> str:
    if low > 0:
        return "direction" if unlike else "reproduced"
    return "contradicted" if high < 0 else "not resolvable"


def _numbers(claim: Claim, operand: Operand, evidence: Evidence) -> list[Number]:
    return [
        number
        for number in evidence.numbers.get((claim.dataset, operand.label, operand.metric), [])
        if _same(number.epsilon, operand.epsilon)
        and all(number.settings.get(name) == value for name, value in operand.where.items())
    ]


def _same(found: float | None, wanted: float | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted)


def _mixed(numbers: Iterable[Number]) -> bool:
    return len({number.cell_id for number in numbers}) > 1


def _paired(claim: Claim, found: Sequence[list[Number]]) -> Sides:
    """The seeds that both numbers have, in order; beside a constant all that there are."""
    larger, smaller = ({number.seed: number for number in numbers} for numbers in found)
    if claim.larger.constant is not None:
        return [], [smaller[seed] for seed in sorted(smaller)]
    if claim.smaller.constant is not None:
        return [larger[seed] for seed in sorted(larger)], []
    seeds = sorted(larger.keys() & smaller.keys())
    return [larger[seed] for seed in seeds], [smaller[seed] for seed in seeds]


def _values(
    operand: Operand, numbers: list[Number], seeds: list[int]
) -> list[tuple[float, float | None]]:
    if operand.constant is not None:
        return [(operand.constant, 0.0)] * len(seeds)
    return [(number.value, number.std_error) for number in numbers]


def _mean(values: list[tuple[float, float | None]]) -> float:
    return math.fsum(value for value, _ in values) / len(values)


def _difference(
    larger: Sequence[tuple[float, float | None]], smaller: Sequence[tuple[float, float | None]]
) -> tuple[float, float, str]:
    """The interval of the difference, and what it is over: Student's t over seeds, paired; of one
    seed, over examples, taking the two as independent (cautious where they are the same images).
    """
    differences = [a - b for (a, _), (b, _) in zip(larger, smaller, strict=True)]
    errors = [error for side in (larger, smaller) for _, error in side]
    alone = len(differences) == 1 and None not in errors
    error = math.hypot(*(e for e in errors if e is not None)) if alone else None
    at = interval(differences, error)
    if at.low is None or at.high is None:
        return -math.inf, math.inf, "nothing"
    return at.low, at.high, at.kind


def _unlike(claim: Claim, sides: Sides, seeds: int) -> str:
    """How our protocol differs from the paper's; empty where it does not."""
    reasons = []
    for operand, numbers in zip((claim.larger, claim.smaller), sides, strict=True):
        if not numbers:
            continue
        row = _printed(claim, operand)
        if operand.published is None:
            reasons.append("the paper prints no number for it")
        elif row is None:
            reasons.append("the paper's number is of other rows")
        elif row.dataset != claim.dataset:
            reasons.append(f"measured on {row.dataset} there")
        else:
            reasons.append(not_comparable(row, numbers[0].settings, seeds))
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _printed(claim: Claim, operand: Operand) -> Published | None:
    """The published row of a claim's number, where a table has one."""
    return next(
        (
            row
            for table in claim.tables
            for row in _table(table)
            if row.value == operand.published
            and (row.metric, row.counterpart) == (operand.metric, operand.label)
            and row.stands_beside(claim.dataset)
        ),
        None,
    )


@cache
def _table(name: str) -> list[Published]:
    return published.load(name)


def _settings(sides: Sides) -> dict[str, str]:
    """The settings of both rows, and those in which each is on its own."""
    first, second = (numbers[0].settings if numbers else None for numbers in sides)
    one, other = first if first is not None else second, second if second is not None else first
    assert one is not None
    assert other is not None
    shared = {k: v for k, v in one.items() if k in other and other[k] == v}
    own = ({k: v for k, v in each.items() if k not in shared} for each in (one, other))
    texts = [json.dumps(each, sort_keys=True) if each else "" for each in (shared, *own)]
    return dict(zip(("settings", "larger_settings", "smaller_settings"), texts, strict=True))


def _origin(numbers: list[Number]) -> dict[str, str]:
    """Which run said so; the date is that of its latest cell."""
    said = {
        name: " ".join(dict.fromkeys(filter(None, (number.origin[name] for number in numbers))))
        for name in ("suite", "tier", "commit")
    }
    codes = sorted({number.origin["code"] for number in numbers} - {""})
    dates = [number.origin["started_at"][:10] for number in numbers]
    return {**said, "code": " ".join(code[:12] for code in codes), "date": max(dates)}


def _lost(claim: Claim, evidence: Evidence) -> str:
    """The seeds of its rows that are not ok, which the interval leaves out."""
    said = []
    for label in dict.fromkeys((claim.larger.label, claim.smaller.label)):
        statuses = [*evidence.lost.get((claim.dataset, label), {}).values()]
        counts = (f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
        if statuses:
            said.append(f"{label}: {', '.join(counts)}, left out")
    return "; ".join(said)

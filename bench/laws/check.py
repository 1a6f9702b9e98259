"""A part put to every law of its kind: what scikit-learn's check_estimator is to its estimators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from bench.core.arguments import checked
from bench.core.errors import UsageError

if TYPE_CHECKING:
    from bench.laws.base import Finding

COLUMNS = ["law", "verdict", "counter_example"]


@checked()
def check_part(name: str, kind: str = "") -> pd.DataFrame:
    """Every law of a part's kind, a row each: whether it holds, is broken, exempt or skipped.

    name: a registered one, or `module:attribute`; kind: of part, where a name is in several
    registries. counter_example: what broke the law, or why the part is exempt from it, by case
    where the law has several. Raises UsageError for an unknown name, with the nearest.
    """
    if not __debug__:
        raise UsageError("laws are assertions, which this Python leaves out: run it without -O")
    from bench.core.threads import with_threads
    from bench.laws import base, parts

    base.load()
    with with_threads():  # as cells are run: laws hold bits against bits
        rows = _rows(base.judge_all(*parts.find(name, kind)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """One row for each law and verdict."""
    by_verdict: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_verdict.setdefault((finding.law.name, finding.verdict), []).append(finding)
    return [
        {"law": law, "verdict": verdict, "counter_example": _why(some)}
        for (law, verdict), some in by_verdict.items()
    ]


def _why(findings: list[Finding]) -> str:
    """The first reason, after the cases that it was given for."""
    first = findings[0]
    if not first.why:
        return ""
    alike = [each.case for each in findings if each.case]
    return f"{', '.join(alike)}: {first.why}" if alike else first.why

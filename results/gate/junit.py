"""A comparison as JUnit XML, which every CI system reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from bench.core.errors import visible
from results.frames import as_dicts, column, pick
from results.gate.layouts import metric, shown, what
from results.gate.verdicts import Comparison


def junit(found: Comparison) -> bytes:
    """A suite for each suite; a case for it as a whole, each deciding series, each series that
    can't be compared and each cell that failed.
    """
    xml = JUnitXml("bench compare")
    for name in dict.fromkeys(found.rows["suite"]):
        suite = TestSuite(visible(name))
        for row in as_dicts(pick(found.rows, column(found.rows, "suite") == name)):
            if row["primary"] or row["verdict"] in ("FAILED", "INCOMPARABLE"):
                suite.append(_case(row, found))
        suite.update_statistics()
        xml.add_testsuite(suite)
    xml.update_statistics()
    return xml.tostring()


def _case(row: Mapping[str, Any], found: Comparison) -> TestCase:
    facts = found.facts.get(row["metric"], {})
    if row["level"] == "series":
        case = TestCase(visible(f"{metric(row, facts)} [{row['cell_id']}]"), visible(what(row)))
    elif row["level"] == "cell":
        case = TestCase(visible(f"{row['cell_id']} seed {row['seed']:.0f}"), "cells")
    else:
        case = TestCase("the suite as one", visible(row["suite"]))
    text = visible(_text(row, facts))
    verdict = row["verdict"]
    if verdict == "REGRESSED":
        case.result = [Failure(text, "REGRESSED")]
    elif verdict in ("FAILED", "INCOMPARABLE"):
        case.result = [Error(text, verdict)]
    elif verdict == "INCONCLUSIVE" and found.policy.on_inconclusive == "fail":
        case.result = [Failure(text, verdict)]
    elif verdict in ("INCONCLUSIVE", "IGNORED"):
        case.result = [Skipped(text)]
    else:
        case.system_out = text
    return case


def _text(row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if row["level"] != "series" or row["verdict"] in ("INCOMPARABLE", "NEW"):
        return f"{row['verdict']}: {row['reason']}"
    names = ("before", "after", "margin")
    numbers = ", ".join(f"{name} {shown(row[name], facts)}" for name in names)
    tested = "" if math.isnan(row["p_adjusted"]) else f", p {row['p_adjusted']:.3g}"
    said = f"; {row['reason']}" if row["reason"] else ""
    return f"{row['verdict']}: {numbers}{tested}{said}"

"""Whether an attack's figures can be believed: in one word, and in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from attacks import MinimalNorm
from bench.attack.evaluate import AttackRequest, Evaluation
from bench.tasks.robustness.audit import PREFIX
from results.statistics import interval, wilson

FIGURES = ("robust_accuracy", "attack_success", "adversarial_error")


@dataclass(frozen=True)
class Verdict:
    """word: doubtful (diagnostics fire), weak (other attacks of the audit mislead more, beyond
    chance), unaudited, or fine. lines: what to say of it.
    """

    word: str
    lines: tuple[str, ...]

    @property
    def said(self) -> str:
        return "; ".join(self.lines)


def verdict_of(request: AttackRequest, made: Evaluation) -> Verdict:
    """What the audit says of an attack's figures."""
    if not made.findings:
        return Verdict("unaudited", (_unaudited(request, made),))
    weak = tuple(filter(None, [_weakness(request, made)]))
    firing = sum(finding.fires for finding in made.findings)
    if not firing:
        return Verdict("weak", weak) if weak else Verdict("fine", (FINE,))
    doubt = f"{firing} of {len(made.findings)} diagnostics fire: don't believe these figures yet"
    return Verdict("doubtful", (doubt, *weak))


FINE = "nothing speaks against these figures"


def _unaudited(request: AttackRequest, made: Evaluation) -> str:
    if not request.audits:
        return "no audit was asked for"
    if isinstance(made.asked.attack, MinimalNorm):
        return "no audit: a search for the smallest perturbation has no radius"
    return "no audit: it needs a radius above 0, and images that the classifier gets right"


def _weakness(request: AttackRequest, made: Evaluation) -> str:
    """What to say where the audit's attacks mislead more than this one did, beyond chance."""
    more = next(f.value for f in made.findings if f.name == "stronger_attacks")
    if not more:
        return ""
    radius = made.asked.radii[-1]
    own = next(v.value for v in made.values if v.metric == "attack_success" and v.epsilon == radius)
    return (
        f"{request.attack} is weak: at {radius:.4g} it misleads {100 * own:.1f} % of the images "
        f"that were right, the audit's attacks {100 * more:.1f} % more of those that it looked at: "
        "the robust accuracy above is no lower bound"
    )


def with_verdicts(table: pd.DataFrame, made: Evaluation, verdict: Verdict) -> pd.DataFrame:
    """The rows with their 95 % intervals (low, high) and a verdict each, with what it says: on an
    attack's figures the audit's, on a diagnostic whether it fires.
    """
    rows = []
    findings = {PREFIX + finding.name: finding for finding in made.findings}
    for row in table.to_dict("records"):
        name = str(row["metric"])
        low, high = _bounds(row)
        word = said = ""
        if name.partition("@")[0] in FIGURES:
            word, said = verdict.word, verdict.said
        elif name in findings:
            finding = findings[name]
            word = "fires" if finding.fires else "explained" if finding.blamed else "fine"
            said = ", ".join(finding.blamed)
        rows.append({"low": low, "high": high, "verdict": word, "said": said})
    return pd.concat([table.reset_index(drop=True), pd.DataFrame(rows)], axis=1)


def _bounds(row: dict[Any, Any]) -> tuple[float | None, float | None]:
    """Wilson's interval of a share whose examples are known, else the normal one of a standard
    error, where there is any.
    """
    value, n, error = row["value"], row["n"], row["std_error"]
    if isinstance(row["outcomes"], str) and row["outcomes"] and not pd.isna(n) and n:
        at = wilson(float(value), int(n))
    elif not pd.isna(error) and not pd.isna(value):
        at = interval([float(value)], float(error))
    else:
        return None, None
    return at.low, at.high

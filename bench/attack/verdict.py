"""Whether an attack's figures can be believed: in one word, and in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from attacks import MinimalNorm
from bench.attack.adapting import asked_for
from bench.attack.evaluate import AttackRequest, Evaluation
from bench.tasks.robustness.attack import ADAPTED
from bench.tasks.robustness.audit import PREFIX
from bench.tasks.robustness.settings import WITHIN
from results.statistics import of_one

FIGURES = ("robust_accuracy", "attack_success", "adversarial_error")


@dataclass(frozen=True)
class Verdict:
    """word: weak (the audit's attacks mislead more, beyond chance, and nothing else fires),
    doubtful (other diagnostics fire), unaudited, or fine. lines: what to say of it. hints: what to
    try, and what trying it gave.
    """

    word: str
    lines: tuple[str, ...]
    hints: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        return "; ".join(self.lines)


def verdict_of(request: AttackRequest, made: Evaluation) -> Verdict:
    """What the audit says of an attack's figures."""
    if not made.findings:
        return Verdict("unaudited", (_unaudited(request, made),))
    firing = [finding for finding in made.findings if finding.fires]
    if not firing:
        return Verdict("fine", (FINE,))
    doubt = (
        f"{len(firing)} of {len(made.findings)} diagnostics fire: don't believe these figures yet"
    )
    stronger = next((finding for finding in firing if finding.name == STRONGER), None)
    weak = () if stronger is None else (_weakness(request, made, stronger.value),)
    word = "weak" if firing == [stronger] else "doubtful"
    return Verdict(word, (doubt, *weak), hints_of(made))


def hints_of(made: Evaluation) -> tuple[str, ...]:
    """What to try against what fires; where it was tried, what it gave beside the plain figures."""
    given = [v for v in made.values if v.metric == f"robust_accuracy@{ADAPTED}"]
    if not given:
        return tuple(remedy.hint for remedy in asked_for(made.findings))
    plain = {v.epsilon: v.value for v in made.values if v.metric == "robust_accuracy"}
    last = given[-1]
    before = f"{100 * plain[last.epsilon]:.1f} %" if last.epsilon in plain else "?"
    return (
        f"adapted, {last.label}: at {last.epsilon:.4g} the robust accuracy is "
        f"{100 * last.value:.1f} %, not {before}",
    )


SUCCESS = ("attack_success", WITHIN)
STRONGER = "stronger_attacks"
"""The diagnostic that holds the audit's attacks against the one whose figures are judged."""
FINE = "nothing speaks against these figures"


def _unaudited(request: AttackRequest, made: Evaluation) -> str:
    if not request.audits:
        return "no audit was asked for"
    if isinstance(made.asked.attack, MinimalNorm) and not made.asked.counted:
        return (
            "no audit: a search for the smallest perturbation has no radius: give epsilons that "
            "its images are counted at"
        )
    return "no audit: it needs a radius above 0, and images that the classifier gets right"


def _weakness(request: AttackRequest, made: Evaluation, more: float) -> str:
    """What to say where the audit's attacks mislead `more` of the images than this one did."""
    radius = (made.asked.radii or made.asked.counted)[-1]
    shares = (v for v in made.values if v.epsilon == radius)
    own = next(v.value for v in shares if v.metric.partition("@")[0] in SUCCESS)
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
    """Of a share whose examples are known, or of a value with a standard error."""
    value, n, error = row["value"], row["n"], row["std_error"]
    share = isinstance(row["outcomes"], str) and row["outcomes"] != ""
    if pd.isna(value) or pd.isna(error):
        return None, None
    at = of_one(float(value), float(error), None if pd.isna(n) else int(n), share)
    return at.low, at.high

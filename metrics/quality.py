"""The share of high-quality samples, under each named rule."""

from __future__ import annotations

from math import sqrt

from metrics.contracts import METRICS, Score
from metrics.rules import RULES
from metrics.tally import ModeTally, ModeTruth


def high_quality(real: ModeTruth, fake: ModeTally) -> Score:
    """High-quality samples over all samples; its standard error is binomial.

    Raises ValueError where there is no sample.
    """
    if not fake.n:
        raise ValueError("expected at least one sample, got none")
    share = float(fake.high_quality.sum() / fake.n)
    return Score(share, sqrt(share * (1 - share) / fake.n), fake.n)


_BLIND = "the-oracle-is-better[collapsed-*]: it does not ask which modes the samples are in"


def _register(name: str, title: str, estimator: str, paper: str = "", rule: str = "") -> None:
    METRICS.register(
        name,
        paper=paper,
        takes="modes",
        direction="higher",
        title=title,
        low=0,
        high=1,
        absolute=0.02,
        percent=True,
        digits=1,
        rule=rule,
        estimator=estimator,
        exempt=_BLIND,
    )(high_quality)


_register("high_quality", "high quality", "share of samples that the data's own rule accepts")

for _rule in RULES.entries():
    _register(
        f"high_quality@{_rule.name}",
        f"high quality ({_rule.name})",
        f"share of samples {_rule.summary}",
        _rule.paper,
        _rule.name,
    )

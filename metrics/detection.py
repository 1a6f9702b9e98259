"""Examples that don't belong: whether a score puts them above those that do."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from bench.core.errors import UsageError
from metrics.contracts import METRICS, Score

Scores = Float[np.ndarray, " n"]
Others = Float[np.ndarray, " m"]


@METRICS.register(
    "auroc",
    paper="doi:10.2307/2531595",
    takes="anomalies",
    direction="higher",
    title="AUROC",
    low=0,
    high=1,
    absolute=0.01,
    digits=3,
    estimator="share of pairs of an example that does not belong and one that does in which the "
    "first has the higher score, ties counted half (the Mann-Whitney statistic); its standard "
    "error by DeLong, DeLong and Clarke-Pearson 1988, over n - 1 on both sides",
)
def auroc(real: Scores, fake: Others) -> Score:
    """The area under the curve of hits against false alarms. real: the scores of examples that
    belong; fake: of those that don't; both finite. Raises UsageError where either has none.
    """
    n, m = len(real), len(fake)
    if not (n and m):
        raise UsageError(f"auroc compares two groups of scores, and got {n} and {m}")
    ranks = rankdata(np.concatenate([real, fake]))
    above = (ranks[n:] - rankdata(fake)) / n
    below = 1 - (ranks[:n] - rankdata(real)) / m
    value = float(above.mean())
    if min(n, m) < 2:
        return Score(value, None, n + m)
    error = np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    return Score(value, float(error), n + m)

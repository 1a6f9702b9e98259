"""How far a share of samples, or a mean over them, may be off."""

from __future__ import annotations

from math import sqrt

from metrics.contracts import PerPoint, Score


def share_error(value: float, n: int) -> float:
    """Binomial, of a share of `n`, at (hits + 2) / (n + 4) as Agresti and Coull 1998 have it, so
    that a share of 0 or 1 has an error too.
    """
    centre = (value * n + 2) / (n + 4)
    return sqrt(centre * (1 - centre) / n)


def mean_score(values: PerPoint) -> Score:
    """The mean over samples, and its standard error (over n - 1); None for one sample."""
    error = float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else None
    return Score(float(values.mean()), error, len(values))


def ratio_score(lost: PerPoint, there: PerPoint) -> Score:
    """The sum of what is lost over the sum of what there is, sample by sample; its standard error
    is that of a ratio of means, None for one sample.
    """
    share, n = float(lost.sum() / there.sum()), len(lost)
    off = (lost - share * there).std(ddof=1) / sqrt(n) / there.mean() if n > 1 else None
    return Score(share, None if off is None else float(off), n)

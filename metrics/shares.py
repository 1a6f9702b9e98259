"""How far a share of samples may be off."""

from __future__ import annotations

from math import sqrt


def share_error(value: float, n: int) -> float:
    """Binomial, of a share of `n`, at (hits + 2) / (n + 4) as Agresti and Coull 1998 have it, so
    that a share of 0 or 1 has an error too.
    """
    centre = (value * n + 2) / (n + 4)
    return sqrt(centre * (1 - centre) / n)

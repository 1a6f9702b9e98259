"""Densities on a line as values at the points of a grid, and what is integrated of them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Curve = Float[np.ndarray, " n"]

TINY = 1e-300
"""Where a density is less, it is taken for this: a logarithm is of it."""


def gaussian(x: Curve, mean: float, std: float) -> Curve:
    """The density of N(mean, std^2)."""
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))


def integral(x: Curve, values: Curve) -> float:
    """By the trapezoidal rule, exact to rounding for smooth values that vanish at both ends."""
    return float(np.trapezoid(values, x))


def alpha_divergence(x: Curve, p: Curve, q: Curve, alpha: float) -> float:
    """(integral of p^a q^(1 - a), less 1) / (a (a - 1)), in nats: KL(p || q) at 1, KL(q || p) at 0,
    both by their limits (Amari; as of Minka 2005, "Divergence measures and message passing").
    """
    log_p, log_q = (np.log(np.maximum(values, TINY)) for values in (p, q))
    if alpha == 1:
        return integral(x, p * (log_p - log_q))
    if alpha == 0:
        return integral(x, q * (log_q - log_p))
    mixed = np.exp(alpha * log_p + (1 - alpha) * log_q)
    return (integral(x, mixed) - 1) / (alpha * (alpha - 1))


def jensen_shannon(x: Curve, p: Curve, q: Curve) -> float:
    """The mean of both KL divergences from the half-way mixture, in nats: 0 to log 2."""
    middle = (p + q) / 2
    return (alpha_divergence(x, p, middle, 1) + alpha_divergence(x, q, middle, 1)) / 2

"""Orbits of two numbers around where neither gains: how fast they grow, and whether by the rule."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS

Orbit = Float[np.ndarray, "steps 2"]
"""Where both numbers are, less where neither gains: at the start, and after each step."""

SMALLEST, LARGEST = 0.03, 10.0
"""An orbit is looked at while its radius is within these, of the radius at its start."""
STILL = 1e-3
"""Growth by less than this a step is none."""


def seen(orbit: Orbit) -> int:
    """How many steps of an orbit are looked at."""
    radii = np.hypot(*orbit.T)
    outside = ~((radii >= SMALLEST * radii[0]) & (radii <= LARGEST * radii[0]))
    return int(outside.argmax()) if outside.any() else len(radii)


def growth(orbit: Orbit) -> float:
    """By which factor the radius grows a step: the geometric mean over the second half of what is
    looked at, between the largest radii of its two halves.
    """
    radii = np.hypot(*orbit[: seen(orbit)].T)
    late = radii[len(radii) // 2 :]
    if len(late) < 4:
        return float("nan")
    half = len(late) // 2
    return float((late[-half:].max() / late[:half].max()) ** (1 / (len(late) - half)))


def verdict(factor: float) -> float:
    """1: it diverges, 0: it circles, -1: it converges."""
    return float(np.sign(factor - 1)) if abs(factor - 1) > STILL else 0.0


_ORBIT = {"takes": "orbit", "direction": "none", "kind": "deterministic"}


@METRICS.register(
    "growth",
    title="growth a step",
    digits=5,
    estimator="factor by which the distance to the equilibrium grows a step, second half",
    **_ORBIT,
)
def measured_growth(real: Orbit, fake: Orbit) -> float:
    """Of the orbit that was played."""
    return growth(fake)


@METRICS.register(
    "growth_expected",
    title="in closed form",
    digits=5,
    estimator="the same of the orbit in closed form",
    **_ORBIT,
)
def expected_growth(real: Orbit, fake: Orbit) -> float:
    """Of the orbit that mathematics says."""
    return growth(real)


@METRICS.register(
    "orbit_error",
    title="largest error of the orbit",
    digits=6,
    low=0.0,
    estimator="largest distance to the orbit in closed form, over that one's radius",
    **_ORBIT,
)
def orbit_error(real: Orbit, fake: Orbit) -> float:
    """Over the steps that are looked at, of both."""
    steps = min(seen(real), seen(fake))
    gaps = np.hypot(*(fake[:steps] - real[:steps]).T)
    return float((gaps / np.hypot(*real[:steps].T)).max())


@METRICS.register(
    "verdict",
    title="diverges 1, circles 0, converges -1",
    digits=0,
    low=-1.0,
    high=1.0,
    estimator="by the growth a step: none within a thousandth of 1",
    **_ORBIT,
)
def measured_verdict(real: Orbit, fake: Orbit) -> float:
    """Of the orbit that was played."""
    return verdict(growth(fake))


@METRICS.register(
    "verdict_expected",
    title="in closed form",
    digits=0,
    low=-1.0,
    high=1.0,
    estimator="the same of the orbit in closed form",
    **_ORBIT,
)
def expected_verdict(real: Orbit, fake: Orbit) -> float:
    """Of the orbit that mathematics says."""
    return verdict(growth(real))

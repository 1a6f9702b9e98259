"""How near an attack comes to the best known: curves of success from distances, and their areas.

A distance is how far an image had to be moved: 0 where it was misclassified as it stood, infinite
where the attack found nothing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Distances = Float[np.ndarray, " n"]


def success_curve(distances: Distances, radii: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """The share of images that are misclassified within each radius, those at distance 0 included:
    1 minus it is the robust accuracy. It never falls with the radius.
    """
    ordered = np.sort(_checked(distances))
    return np.searchsorted(ordered, radii, side="right") / len(ordered)


def area(distances: Distances, most: float) -> float:
    """The area under robust accuracy over the radii from 0 to `most`: the mean of the distances,
    none of them counted for more than that.
    """
    if not 0 < most < np.inf:
        raise ValueError(f"expected a largest radius above 0 and finite, got {most}")
    return float(np.minimum(_checked(distances), most).mean())


def ratios(distances: Distances, best: Distances) -> Distances:
    """Each distance over the best known: 1 at least where that is one; 1 where both are 0 or both
    infinite.
    """
    distances, best = _checked(distances), _checked(best)
    same = (distances == best) | ((distances == 0) & (best == 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(same, 1.0, distances / best)


def local_optimality(distances: Distances, best: Distances, most: float | None = None) -> float:
    """xi = 1 - (A - A*) / (a d - A*): the area of an attack's curve above that of the best known
    distances, as a share of what an attack that finds nothing leaves; 1 is the best, 0 such a one
    (Cina et al. 2024, AttackBench, arXiv:2404.19460).

    A and A* are areas up to d, `most`; a is the accuracy on clean images. Without `most` it is the
    largest of the finite best distances. 1 where nothing can be gained. An attack that beats the
    best known gets more than 1. Raises ValueError for distances of other images.
    """
    distances, best = _checked(distances), _checked(best)
    if distances.shape != best.shape or not np.array_equal(distances == 0, best == 0):
        raise ValueError("expected distances of the same images, 0 for the same ones")
    finite = best[np.isfinite(best) & (best > 0)]
    if most is None and not len(finite):
        return 1.0
    most = float(finite.max()) if most is None else most
    least, accuracy = area(best, most), float((best > 0).mean())
    room = accuracy * most - least
    return 1.0 if room <= 0 else 1 - (area(distances, most) - least) / room


def _checked(distances: Distances) -> Distances:
    """As they are. Raises ValueError for none, negative ones, and what is no number."""
    distances = np.asarray(distances, dtype=np.float64)
    if not len(distances) or not (distances >= 0).all():
        raise ValueError("expected distances of 0 or more, one at least")
    return distances

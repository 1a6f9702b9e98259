"""Images whose class was exchanged: whether what the class does not say was kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float, Int

from metrics.contracts import METRICS, Score
from metrics.strokes import Grey, PerPicture, slant, thickness


@dataclass(frozen=True, eq=False)
class Drawn:
    """Grey pictures, ink bright, and the class that each is to be of."""

    pictures: Grey
    classes: Int[np.ndarray, " n"]


def within(values: PerPicture, classes: Int[np.ndarray, " n"]) -> PerPicture:
    """Less the mean of its class."""
    sums = np.bincount(classes, values)
    counts = np.bincount(classes)
    return values - (sums / np.maximum(counts, 1))[classes]


def correlation(first: PerPicture, second: PerPicture) -> Score:
    """Pearson's, and its standard error under normality; 0 where one of the two does not vary."""
    n, scale = len(first), sqrt(float(first @ first) * float(second @ second))
    found = float(first @ second) / scale if scale > 1e-9 * n else 0.0
    found = min(max(found, -1.0), 1.0)
    return Score(found, (1 - found**2) / sqrt(n - 1) if n > 1 else None, n)


def _register(name: str, measured: Callable[[Float[np.ndarray, "n h w"]], PerPicture]) -> None:
    def kept(real: Drawn, fake: Drawn) -> Score:
        """Of pictures, and of what was made of each for another class."""
        values = (within(measured(each.pictures), each.classes) for each in (real, fake))
        return correlation(*values)

    METRICS.register(
        f"{name}_kept",
        summary=f"Does a picture keep its {name} where its class is exchanged?",
        takes="edited",
        direction="higher",
        title=f"{name} kept",
        low=-1,
        high=1,
        absolute=0.03,
        digits=3,
        estimator=f"the correlation of the {name} of pictures and of what was made of them, each "
        "less the mean of its class: of the true one, and of the one that was asked for",
    )(kept)


_register("thickness", thickness)
_register("slant", slant)

"""Where in a pyramid the energy of images is, and whether they come back from it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, Score
from metrics.shares import mean_score


@METRICS.register(
    "energy_share",
    paper="doi:10.1109/ICIP.1995.537667",
    takes="energies",
    direction="none",
    title="energy",
    low=0,
    kind="deterministic",
    absolute=0.01,
    percent=True,
    shares=False,
    digits=1,
    estimator="sum of the squared coefficients of a level over that of the pixels, both of the "
    "image less its mean; the mean over images that are not the same everywhere, and its standard "
    "error. The levels of a tight frame sum to 100 %",
)
def energy_share(real: Float[np.ndarray, " n"], fake: Float[np.ndarray, " n"]) -> Score:
    """real: the energy of the pixels; fake: of the coefficients of a level."""
    kept = real > 0
    if not kept.any():
        return Score(0.0, None, len(real))
    return mean_score(fake[kept] / real[kept])


@METRICS.register(
    "rebuilding_error",
    paper="doi:10.1109/TCOM.1983.1095851",
    takes="rebuilt",
    direction="lower",
    title="rebuilding error",
    low=0,
    kind="deterministic",
    absolute=1e-6,
    digits=2,
    estimator="largest difference between an image and what its bands are put together to, white "
    "being 255; the mean over images and its standard error",
)
def rebuilding_error(
    real: Float[np.ndarray, "n c h w"], fake: Float[np.ndarray, "n c h w"]
) -> Score:
    """It says nothing of a pyramid's filters: a Laplacian pyramid comes back whatever they are."""
    return mean_score(np.abs(real - fake).max((1, 2, 3)))

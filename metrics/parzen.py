"""The Parzen-window log-likelihood of the 2014 table, kept to stand beside that table only."""

from __future__ import annotations

from math import log, pi, sqrt

import numpy as np
from scipy.special import logsumexp

from metrics.contracts import METRICS, OtherPoints, PerPoint, Points, Score
from metrics.features import Features, refuse_dims
from metrics.neighbours import parts, squared_distances

WIDTHS = np.logspace(-1, 0, 10)


@METRICS.register(
    "parzen",
    paper="arXiv:1406.2661",
    takes="features",
    direction="higher",
    title="Parzen log-likelihood",
    relative=0.05,
    digits=1,
    on_request=True,
    estimator="mean log density in nats of one half of the reals under Gaussians of one width at "
    "the samples, the width of ten from .1 to 1 that is best for the other half. For the table of "
    "Goodfellow et al. 2014 only (pixels in [0, 1]): it does not follow the quality of samples "
    "(Theis et al. 2016)",
    exempt=(
        "the-order-does-not-matter: one half chooses the width for the other",
        "similarities-change-the-unit-only[scaled,shrunk]: its widths are of pixels in [0, 1]",
    ),
)
def parzen(real: Features, fake: Features) -> Score:
    """The log-likelihood of reals in a cloud of Gaussians around the samples."""
    refuse_dims(real, fake)
    half = real.n // 2
    chosen, tested = real.exact[:half], real.exact[half:]
    means = [float(log_density(chosen, fake.exact, width).mean()) for width in WIDTHS]
    values = log_density(tested, fake.exact, float(WIDTHS[int(np.argmax(means))]))
    error = float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else None
    return Score(float(values.mean()), error, len(values))


def log_density(points: Points, centres: OtherPoints, width: float) -> PerPoint:
    """Of an even mixture of Gaussians of one width, in nats."""
    dims = points.shape[1]
    scale = log(len(centres)) + dims * log(width * sqrt(2 * pi))
    found = np.empty(len(points))
    for part in parts(len(points), len(centres)):
        exponents = squared_distances(points[part], centres) / (-2 * width**2)
        found[part] = logsumexp(exponents, axis=1)
    return found - scale

"""Density and coverage: as precision and recall, and not to be stretched by outliers."""

from __future__ import annotations

from math import sqrt

from metrics.contracts import METRICS, Score
from metrics.neighbours import DENSITY_K, Covered, Landed
from metrics.precision_recall import share, spread


@METRICS.register(
    "density",
    paper="arXiv:2002.09797",
    takes="neighbours",
    direction="higher",
    title="density",
    low=0,
    absolute=0.02,
    relative=0.02,
    estimator="real balls (to the 5th nearest other real sample) that hold a sample, over 5, mean "
    "over the samples: 1 where both are alike, above 1 for a sampler that keeps to dense places; "
    "on the sphere is outside; standard error as of precision",
    exempt=(
        "fresh-samples-are-better[half,one]: each is asked whether it is real",
        "the-smaller-collapse-is-better: as above",
    ),
)
def density(real: Covered, fake: Landed) -> Score:
    """How deep in the manifold of the reals the samples lie."""
    values, n = fake.balls / DENSITY_K, len(fake.balls)
    parts = spread([float(part.balls.mean()) / DENSITY_K for part in fake.parts])
    return Score(float(values.mean()), max(parts, float(values.std(ddof=1)) / sqrt(n)), n)


@METRICS.register(
    "coverage",
    paper="arXiv:2002.09797",
    takes="neighbours",
    direction="higher",
    title="coverage",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of real samples with a fake one nearer than the 5th nearest other real one: "
    "about .969 where both are alike and as many; on the sphere is outside; standard error "
    "as of precision",
)
def coverage(real: Covered, fake: Landed) -> Score:
    """Reals that have a sample near."""
    return share(real.reached, [part.reached for part in real.parts])

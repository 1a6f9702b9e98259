"""How many modes a sampler covers, by the headline rule and by the published one."""

from __future__ import annotations

import numpy as np

from metrics.contracts import METRICS, Score
from metrics.tally import ModeTally, ModeTruth

FAIR_QUARTER = 0.25
PUBLISHED_SAMPLES = 2_500


@METRICS.register(
    "modes_covered",
    takes="modes",
    direction="higher",
    title="modes",
    low=0,
    counts_modes=True,
    absolute=0.5,
    digits=1,
    estimator="modes that hold at least a quarter of their true share of all samples, "
    "counting high-quality samples only",
)
def modes_covered(real: ModeTruth, fake: ModeTally) -> Score:
    """Modes with at least a quarter of the high-quality samples that real data would put there.

    The share is of all samples, so that noise spread over every mode covers none.
    """
    return Score(float(_covered(real, fake).sum()), None, fake.n)


@METRICS.register(
    "modes_raw",
    paper="arXiv:1705.07761",
    takes="modes",
    direction="higher",
    title="modes raw",
    low=0,
    counts_modes=True,
    absolute=0.5,
    digits=1,
    samples=PUBLISHED_SAMPLES,
    estimator="modes with at least one high-quality sample among the first 2,500: the published "
    "rule, which has no floor (uniform noise covers 23 of 25)",
)
def modes_raw(real: ModeTruth, fake: ModeTally) -> Score:
    """Modes with at least one high-quality sample (VEEGAN, PacGAN)."""
    return Score(float((fake.high_quality > 0).sum()), None, fake.n)


@METRICS.register(
    "missing_mass",
    takes="modes",
    direction="lower",
    title="missing mass",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    estimator="true weight of the modes that are not covered (a quarter of the fair share)",
)
def missing_mass(real: ModeTruth, fake: ModeTally) -> Score:
    """The share of the real data that sits in modes not covered."""
    return Score(float(real.weights[~_covered(real, fake)].sum()), None, fake.n)


@METRICS.register(
    "empty_mass",
    takes="modes",
    direction="lower",
    title="empty mass",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    estimator="true weight of the modes without a single high-quality sample: where it is not 0, "
    "the unsmoothed forward KL is infinite",
    exempt="the-oracle-is-better[noise-*]: one sample fills a mode",
)
def empty_mass(real: ModeTruth, fake: ModeTally) -> Score:
    """The share of the real data that sits in modes without one high-quality sample."""
    return Score(float(real.weights[fake.high_quality == 0].sum()), None, fake.n)


def _covered(real: ModeTruth, fake: ModeTally) -> np.ndarray:
    """A mode without any high-quality sample is never covered, however small its share."""
    enough = FAIR_QUARTER * real.shares * fake.n
    return (fake.high_quality >= enough) & (fake.high_quality > 0)

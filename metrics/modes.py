"""How many modes a sampler covers, by the headline rule and by the published one."""

from __future__ import annotations

import numpy as np

from metrics.contracts import METRICS, PerMode, Score
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
    return Score(float(covered(real, fake).sum()), None, fake.n)


@METRICS.register(
    "modes_near",
    takes="modes",
    direction="higher",
    title="modes near",
    low=0,
    counts_modes=True,
    absolute=0.5,
    digits=1,
    estimator="modes that at least a quarter of their true share of all samples is nearest to, "
    "however far: what tells a collapse (few) from a blur (all)",
    exempt=("the-oracle-is-better[noise-*]: noise is near every mode, and so tells no blur",),
)
def modes_near(real: ModeTruth, fake: ModeTally) -> Score:
    """Modes that samples are near, whatever their quality."""
    return Score(float(near(real.weights, fake.nearest / max(1, fake.n)).sum()), None, fake.n)


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
    return Score(float(real.weights[~covered(real, fake)].sum()), None, fake.n)


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


def near(weights: PerMode, shares: np.ndarray) -> np.ndarray:
    """Which modes have at least a quarter of their fair share of all samples [..., K]."""
    return (shares >= FAIR_QUARTER * weights) & (shares > 0)


def covered(real: ModeTruth, fake: ModeTally) -> np.ndarray:
    """Which modes hold a quarter of their fair share of good samples, [K]; one without any is never
    covered, however small its share.
    """
    enough = FAIR_QUARTER * real.shares * fake.n
    return (fake.high_quality >= enough) & (fake.high_quality > 0)

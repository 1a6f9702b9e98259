"""Divergences over modes: the K modes and one bin for everything off the manifold, in nats.

The off-manifold bin has the mass that real data have there (1.11 % under euclid3). Left out,
the rows lie: samples between the modes would cost nothing. With mass 0, the reverse KL of
real data themselves would be infinite. A bin whose true mass is below half a sample's (the tail
of a chi-square with 700 degrees of freedom) counts as half a sample's, so that none is.
"""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr

from metrics.contracts import METRICS, Score
from metrics.modes import PUBLISHED_SAMPLES
from metrics.tally import ModeTally, ModeTruth

PSEUDO_COUNT = 0.5


def bins(real: ModeTruth, fake: ModeTally) -> tuple[np.ndarray, np.ndarray]:
    """True probabilities and counts of the K modes and the off-manifold bin, [K + 1] each.

    Raises ValueError where there is no sample.
    """
    if not fake.n:
        raise ValueError("expected at least one sample, got none")
    true = np.maximum(np.append(real.shares, real.off_manifold), PSEUDO_COUNT / fake.n)
    off = fake.n - fake.high_quality.sum()
    return true / true.sum(), np.append(fake.high_quality, off).astype(np.float64)


@METRICS.register(
    "reverse_kl_modes",
    takes="modes",
    direction="lower",
    title="KL(fake||real)",
    low=0,
    absolute=0.01,
    relative=0.1,
    estimator="sum of q log(q/p) over the modes and the off-manifold bin, q the plain shares; "
    "expected value of a perfect sampler: K/2n",
)
def reverse_kl_modes(real: ModeTruth, fake: ModeTally) -> Score:
    """KL from the samples' shares to the true ones: finite when modes are dropped."""
    true, counts = bins(real, fake)
    return Score(float(rel_entr(counts / counts.sum(), true).sum()), None, fake.n)


@METRICS.register(
    "forward_kl_modes",
    takes="modes",
    direction="lower",
    title="KL(real||fake)",
    low=0,
    absolute=0.05,
    relative=0.1,
    estimator="sum of p log(p/q) over the modes and the off-manifold bin, q smoothed by half a "
    "count a bin: finite, large where modes are empty; empty_mass says whether any is",
)
def forward_kl_modes(real: ModeTruth, fake: ModeTally) -> Score:
    """KL from the true shares to the samples': the one that dropped modes make explode."""
    true, counts = bins(real, fake)
    smoothed = (counts + PSEUDO_COUNT) / (counts.sum() + PSEUDO_COUNT * len(counts))
    return Score(float(rel_entr(true, smoothed).sum()), None, fake.n)


@METRICS.register(
    "js_modes",
    takes="modes",
    direction="lower",
    title="JS",
    low=0,
    high=float(np.log(2)),
    absolute=0.005,
    relative=0.1,
    estimator="Jensen-Shannon divergence over the modes and the off-manifold bin, in nats, "
    "q the plain shares",
)
def js_modes(real: ModeTruth, fake: ModeTally) -> Score:
    """The symmetric divergence that the optimal critic of the 2014 game measures."""
    true, counts = bins(real, fake)
    fakes = counts / counts.sum()
    middle = (true + fakes) / 2
    total = rel_entr(true, middle).sum() + rel_entr(fakes, middle).sum()
    return Score(float(total / 2), None, fake.n)


@METRICS.register(
    "kl_floor",
    takes="modes",
    direction="none",
    title="KL floor",
    low=0,
    kind="deterministic",
    digits=4,
    estimator="K/2n: about what sampling alone adds to a divergence over K + 1 bins",
)
def kl_floor(real: ModeTruth, fake: ModeTally) -> Score:
    """The expected reverse KL of a perfect sampler with as many samples."""
    return Score((len(bins(real, fake)[0]) - 1) / (2 * fake.n), None, fake.n)


@METRICS.register(
    "reverse_kl_pacgan",
    paper="arXiv:1712.04086",
    takes="modes",
    direction="lower",
    title="KL as published",
    low=0,
    absolute=0.02,
    relative=0.1,
    rule="pacgan",
    samples=PUBLISHED_SAMPLES,
    estimator="log K minus the entropy of the high-quality counts of the first 2,500 samples: "
    "PacGAN's definition, blind to samples off the manifold; log K where there is none",
)
def reverse_kl_pacgan(real: ModeTruth, fake: ModeTally) -> Score:
    """The "reverse KL" of PacGAN's tables, over high-quality samples only."""
    total = fake.high_quality.sum()
    shares = fake.high_quality / max(total, 1)
    return Score(float(np.log(real.modes) + rel_entr(shares, 1.0).sum()), None, fake.n)

"""Modes of stacked digits: the published count, and one that a single mode can't inflate."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.special import pdtrc, rel_entr

from metrics.contracts import METRICS, Score
from metrics.mode_divergences import PSEUDO_COUNT
from metrics.readings import StackTally, StackTruth, leakage, unfold

FALSE_MODES = 0.01


def _some(fake: StackTally) -> StackTally:
    if not fake.n:
        raise ValueError("expected at least one sample, got none")
    return fake


@METRICS.register(
    "stack_modes",
    takes="stack",
    direction="higher",
    title="modes",
    low=0,
    counts_modes=True,
    absolute=0.5,
    relative=0.01,
    digits=1,
    estimator="modes with more stacks, every digit passing the judge's gate, than misreading of "
    "the other modes explains: Poisson test at 0.01 over the number of modes, against the leakage "
    "that unfolding through the out-of-fold confusion matrix predicts",
)
def stack_modes(real: StackTruth, fake: StackTally) -> Score:
    """Modes that are there, and not only read there."""
    leaked = leakage(real, unfold(real, _some(fake).passing))
    chance = np.where(fake.passing > 0, pdtrc(np.maximum(fake.passing - 1, 0), leaked), 1.0)
    counted = (fake.passing > 0) & (chance < FALSE_MODES / real.modes)
    return Score(float(counted.sum()), None, fake.n)


@METRICS.register(
    "stack_modes_raw",
    paper="arXiv:1611.02163",
    takes="stack",
    direction="higher",
    title="modes raw",
    low=0,
    counts_modes=True,
    absolute=0.5,
    relative=0.01,
    digits=1,
    estimator="modes with at least one stack, by the judge's likeliest digits: the published rule, "
    "which has no floor (a sampler of one mode counts dozens)",
)
def stack_modes_raw(real: StackTruth, fake: StackTally) -> Score:
    """Modes that a classifier reads at least once (Metz et al. 2017 and later tables)."""
    return Score(float((_some(fake).raw > 0).sum()), None, fake.n)


@METRICS.register(
    "off_manifold",
    takes="stack",
    direction="lower",
    title="off-manifold",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of stacks with a digit of which the judge is less sure than of 95 % of real "
    "held-out ones",
    exempt="real-stacks-are-better[drop-one-*,one-mode-*]: it does not ask which digits pass",
)
def off_manifold(real: StackTruth, fake: StackTally) -> Score:
    """Stacks with at least one digit off the manifold."""
    share = 1 - float(fake.passing.sum() / _some(fake).n)
    return Score(share, sqrt(share * (1 - share) / fake.n), fake.n)


@METRICS.register(
    "off_manifold_digits",
    takes="stack",
    direction="lower",
    title="digits off-manifold",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of single digits of which the judge is less sure than of 95 % of real "
    "held-out ones; 5 % of real ones are",
    exempt="real-stacks-are-better[drop-one-*,one-mode-*]: it does not ask which digits pass",
)
def off_manifold_digits(real: StackTruth, fake: StackTally) -> Score:
    """Single digits off the manifold."""
    total = _some(fake).n * real.depth
    share = float(fake.digits[:, -1].sum() / total)
    return Score(share, sqrt(share * (1 - share) / total), fake.n)


@METRICS.register(
    "reverse_kl_stack",
    takes="stack",
    direction="lower",
    title="KL(fake||real)",
    low=0,
    absolute=0.01,
    relative=0.1,
    estimator="sum of q log(q/p) over the modes and the off-manifold bin; q the plain shares of "
    "stacks that pass, unfolded through the confusion matrix; p as real digits pass",
)
def reverse_kl_stack(real: StackTruth, fake: StackTally) -> Score:
    """KL from the samples' shares of what is there to the true ones, in nats."""
    rejected = _some(fake).n - fake.passing.sum()
    shares = np.append(unfold(real, fake.passing), rejected) / fake.n
    true = np.maximum(np.append(real.shares, 1 - real.shares.sum()), PSEUDO_COUNT / fake.n)
    return Score(float(rel_entr(shares, true / true.sum()).sum()), None, fake.n)


@METRICS.register(
    "reverse_kl_stack_raw",
    paper="arXiv:1611.02163",
    takes="stack",
    direction="lower",
    title="KL raw",
    low=0,
    absolute=0.01,
    relative=0.1,
    estimator="log K minus the entropy of the modes by the judge's likeliest digits: the published "
    "rule, blind to samples off the manifold",
    exempt="real-stacks-are-better[rejected-3]: it does not ask how likely digits are",
)
def reverse_kl_stack_raw(real: StackTruth, fake: StackTally) -> Score:
    """KL from the shares of what a classifier reads to the uniform distribution, in nats."""
    shares = fake.raw / _some(fake).n
    return Score(float(np.log(real.modes) + rel_entr(shares, 1.0).sum()), None, fake.n)


@METRICS.register(
    "stack_kl_floor",
    takes="stack",
    direction="none",
    title="KL floor",
    low=0,
    kind="deterministic",
    digits=4,
    estimator="K/2n: about what sampling alone adds to a divergence over K + 1 bins",
)
def stack_kl_floor(real: StackTruth, fake: StackTally) -> Score:
    """The expected reverse KL of a perfect sampler with as many samples."""
    return Score(real.modes / (2 * _some(fake).n), None, fake.n)

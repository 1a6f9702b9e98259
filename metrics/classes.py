"""Classes of images as a judge reads them: which are there, how evenly, and whether the asked one.

A judge's misreadings are taken out as for stacks of digits, of which these are the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from metrics.contracts import METRICS, Score
from metrics.readings import StackTally, StackTruth
from metrics.shares import share_error
from metrics.stacks import off_manifold, reverse_kl_stack, stack_modes


@dataclass(frozen=True, eq=False)
class Asked:
    """Of n samples: the class that was asked for, the one that a judge reads, and whether the judge
    is as sure of it as of 95 % of real images.
    """

    wanted: Int[np.ndarray, " n"]
    read: Int[np.ndarray, " n"]
    passed: Bool[np.ndarray, " n"]


@METRICS.register(
    "class_coverage",
    takes="classes",
    direction="higher",
    title="classes",
    low=0,
    counts_modes=True,
    absolute=0.5,
    digits=1,
    estimator="classes with more images that pass the judge's gate than misreading of the others "
    "explains: Poisson test at 0.01 over the number of classes, against the leakage that unfolding "
    "through the out-of-fold confusion matrix predicts",
)
def class_coverage(real: StackTruth, fake: StackTally) -> Score:
    """Classes that are there, and not only read there."""
    return stack_modes(real, fake)


@METRICS.register(
    "class_kl",
    takes="classes",
    direction="lower",
    title="class KL",
    low=0,
    absolute=0.01,
    relative=0.1,
    estimator="sum of q log(q/p) over the classes and the off-manifold bin; q the shares of images "
    "that pass, unfolded through the confusion matrix; p as real images pass",
)
def class_kl(real: StackTruth, fake: StackTally) -> Score:
    """KL from the samples' shares of each class to the true ones, in nats."""
    return reverse_kl_stack(real, fake)


@METRICS.register(
    "off_manifold_images",
    takes="classes",
    direction="lower",
    title="off-manifold",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of images of which the judge is less sure than of 95 % of real held-out ones",
)
def off_manifold_images(real: StackTruth, fake: StackTally) -> Score:
    """Images that a judge can't read."""
    return off_manifold(real, fake)


@METRICS.register(
    "label_accuracy",
    takes="asked",
    direction="higher",
    title="asked label",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    estimator="share of samples in which the judge reads the class that was asked for, however "
    "sure it is; every class asked for as often; binomial standard error",
)
def label_accuracy(real: None, fake: Asked) -> Score:
    """Does a conditional model draw what it is asked for?"""
    share = float((fake.wanted == fake.read).mean())
    return Score(share, share_error(share, len(fake.read)), len(fake.read))

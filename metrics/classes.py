"""Classes of images as a judge reads them: which are there, how evenly, and whether the asked one.

A judge's misreadings are taken out as for stacks of digits, of which these are the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from metrics.contracts import METRICS, Metric, Score
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


def _of_classes(name: str, part: Metric, summary: str, **changed: object) -> None:
    """A metric of stacks over single images: its number and facts but for what is changed."""
    entry = METRICS[part.__name__]
    facts = {**vars(entry.facts), "takes": "classes", **changed}
    METRICS.register(name, summary=summary, **facts)(part)


_of_classes(
    "class_coverage",
    stack_modes,
    "Classes that are there, and not only read there.",
    title="classes",
    relative=0.0,
    estimator="classes with more images that pass the judge's gate than misreading of the others "
    "explains: Poisson test at 0.01 over the number of classes, against the leakage that unfolding "
    "through the out-of-fold confusion matrix predicts",
)

_of_classes(
    "class_kl",
    reverse_kl_stack,
    "KL from the samples' shares of each class to the true ones, in nats.",
    title="class KL",
    estimator="sum of q log(q/p) over the classes and the off-manifold bin; q the shares of images "
    "that pass, unfolded through the confusion matrix; p as real images pass",
)

_of_classes(
    "off_manifold_images",
    off_manifold,
    "Images that a judge can't read.",
    estimator="share of images of which the judge is less sure than of 95 % of real held-out ones",
)


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

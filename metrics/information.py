"""Codes that can be read in samples: how much is told, and what a category stands for."""

from __future__ import annotations

from dataclasses import dataclass
from math import e, log, pi, sqrt

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from metrics.contracts import METRICS, Score
from metrics.shares import share_error

LEAST_ERROR = 1e-12


@dataclass(frozen=True, eq=False)
class Informed:
    """Of n samples, what their codes said and what a model reads in them: the category, and the log
    probability of each; the numbers, on [-1, 1], and those that are expected.
    """

    category: Int[np.ndarray, " n"]
    log_read: Float[np.ndarray, "n categories"]
    numbers: Float[np.ndarray, "n numbers"]
    expected: Float[np.ndarray, "n numbers"]


@dataclass(frozen=True, eq=False)
class Matched:
    """Of n samples, the category that their codes said and the class that a judge reads; of n real
    images, the category that a critic sorts them into and their own class. classes: how many there
    are.
    """

    category: Int[np.ndarray, " n"]
    read: Int[np.ndarray, " n"]
    categories: int
    classes: int


@METRICS.register(
    "information",
    paper="arXiv:1606.03657",
    takes="informed",
    direction="higher",
    title="L_I",
    absolute=0.05,
    estimator="log K plus the mean log probability that the model's reader gives the category that "
    "a new sample's code said, in nats: a lower bound on their mutual information, which is log K "
    "at most (2.303 for 10); the numbers are not counted",
)
def information(real: None, fake: Informed) -> Score:
    """How much of a category can be read in a sample, in nats."""
    n, categories = fake.log_read.shape
    each = log(categories) + fake.log_read[np.arange(n), fake.category].astype(np.float64)
    return Score(float(each.mean()), float(each.std(ddof=1)) / sqrt(n) if n > 1 else None, n)


@METRICS.register(
    "number_information",
    paper="arXiv:1606.03657",
    takes="informed",
    direction="higher",
    title="L_I of numbers",
    absolute=0.05,
    estimator="the sum over numbers of log 2 - log(2 pi e v) / 2 in nats, v the mean squared error "
    "of the number that the model's reader expects: the bound for a Gaussian reader of the best "
    "variance, where the training's has variance 1; about -0.18 for each number that is not told",
)
def number_information(real: None, fake: Informed) -> Score:
    """How much of the numbers can be read in a sample, in nats."""
    errors = np.square(fake.expected.astype(np.float64) - fake.numbers)
    spread = np.maximum(errors.mean(0), LEAST_ERROR)
    n = len(errors)
    value = float((log(2) - np.log(2 * pi * e * spread) / 2).sum())
    slopes = (errors / (2 * spread)).sum(1)
    return Score(value, float(slopes.std(ddof=1)) / sqrt(n) if n > 1 else None, n)


@METRICS.register(
    "code_accuracy",
    paper="arXiv:1606.03657",
    takes="matched",
    direction="higher",
    title="code accuracy",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of new samples in which the judge reads the class that stands for the "
    "category of their code, however sure; each category stands for one class at most, by the "
    "matching that has most samples right in the other half of them (Hungarian method), so that "
    "codes that say nothing have one in as many as there are classes; binomial standard error",
)
def code_accuracy(real: None, fake: Matched) -> Score:
    """Does a category stand for a class?"""
    half = np.arange(len(fake.read)) < len(fake.read) // 2
    right = np.zeros(len(fake.read), dtype=bool)
    for known in (half, ~half):
        stands_for = matching(fake, known)
        right[~known] = stands_for[fake.category[~known]] == fake.read[~known]
    share = float(right.mean())
    return Score(share, share_error(share, len(right)), len(right))


@METRICS.register(
    "cluster_accuracy",
    paper="arXiv:1511.06390",
    takes="sorted",
    direction="higher",
    title="clusters",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of held-out images whose class is the one that stands for the category that "
    "the model's critic sorts them into, matched on the other half of them as for code_accuracy; "
    "binomial standard error",
)
def cluster_accuracy(real: None, fake: Matched) -> Score:
    """Does a category that a critic found stand for a class?"""
    return code_accuracy(real, fake)


def matching(fake: Matched, known: np.ndarray) -> Int[np.ndarray, " categories"]:
    """The class that each category stands for by the samples that are known, -1 for none."""
    counts = np.zeros((fake.categories, fake.classes))
    np.add.at(counts, (fake.category[known], fake.read[known]), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    found = np.full(fake.categories, -1)
    found[rows] = columns
    return found

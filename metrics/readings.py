"""Stacks of digits counted by what a judge reads in them: streaming, mergeable, and unfolded.

A judge that misreads one digit in a hundred sees modes that nobody made. Three things stand
against it: digits that it is less sure of than it is of 95 % of real ones are off the manifold;
the counts of the rest are unfolded through its confusion matrix, by expectation maximisation
(Richardson 1972, Lucy 1974; D'Agostini 1995); and what that predicts to leak into a mode is what
the mode has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

MAX_ITERATIONS = 1_000
TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class StackTruth:
    """What a judge makes of real stacks.

    confusion: [classes, classes], the probability that a real digit of one class is read as
    another, given that it passes the gate. pass_rates: [classes], the share that passes.
    """

    depth: int
    confusion: Float[np.ndarray, "classes classes"]
    pass_rates: Float[np.ndarray, " classes"]

    @property
    def classes(self) -> int:
        return len(self.pass_rates)

    @property
    def modes(self) -> int:
        return self.classes**self.depth

    @cached_property
    def shares(self) -> Float[np.ndarray, " modes"]:
        """The share of real stacks in each mode, with every digit passing."""
        return _along(np.ones(1), [self.pass_rates / self.classes] * self.depth)

    def read(self, true: Float[np.ndarray, " modes"]) -> Float[np.ndarray, " modes"]:
        """Expected counts by what is read, from counts by what is there."""
        return self._mapped(true, self.confusion)

    def blamed(self, ratios: Float[np.ndarray, " modes"]) -> Float[np.ndarray, " modes"]:
        """The transpose of `read`."""
        return self._mapped(ratios, self.confusion.T)

    def _mapped(self, counts: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        cube = counts.reshape((self.classes,) * self.depth)
        for axis in range(self.depth):
            cube = np.moveaxis(np.tensordot(cube, matrix, axes=(axis, 0)), -1, axis)
        return cube.reshape(-1)

    @cached_property
    def kept(self) -> Float[np.ndarray, " modes"]:
        """The probability that each mode is read as itself."""
        return _along(np.ones(1), [np.diagonal(self.confusion)] * self.depth)


def _along(start: np.ndarray, factors: list[np.ndarray]) -> np.ndarray:
    """Products over every combination of the factors' entries, the last varying fastest."""
    for factor in factors:
        start = np.multiply.outer(start, factor).reshape(-1)
    return start


def truth_of(card: dict[str, Any], depth: int) -> StackTruth:
    """From a judge's card. Each row of the confusion matrix of passing digits gets one count more,
    spread evenly over the classes (Perks 1947): an error nobody has seen yet is not impossible.
    """
    counts = np.asarray(card["confusion_of_passing"], dtype=np.float64)
    smoothed = counts + 1 / len(counts)
    rates = np.asarray(card["pass_rates"], dtype=np.float64)
    return StackTruth(depth, smoothed / smoothed.sum(axis=1, keepdims=True), rates)


@dataclass(frozen=True, eq=False)
class StackTally:
    """Counts of `n` stacks. raw: [modes], by the likeliest digits, however unlikely. passing:
    [modes], those of which every digit passes the gate. digits: [depth, classes + 1], single
    digits by place, those that don't pass in the last column.
    """

    raw: Int[np.ndarray, " modes"]
    passing: Int[np.ndarray, " modes"]
    digits: Int[np.ndarray, "depth bins"]
    n: int

    def __add__(self, other: StackTally) -> StackTally:
        return StackTally(
            self.raw + other.raw,
            self.passing + other.passing,
            self.digits + other.digits,
            self.n + other.n,
        )


def tally_stacks(
    labels: Int[np.ndarray, "n depth"], passed: Bool[np.ndarray, "n depth"], classes: int
) -> StackTally:
    """Count stacks by what was read in them. Raises ValueError for other labels than 0 to
    `classes` - 1.
    """
    n, depth = labels.shape
    if n and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"expected labels of 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
        )
    modes = labels @ (classes ** np.arange(depth - 1, -1, -1))
    every = passed.all(axis=1)
    seen = np.where(passed, labels, classes)
    return StackTally(
        np.bincount(modes, minlength=classes**depth),
        np.bincount(modes[every], minlength=classes**depth),
        np.stack([np.bincount(column, minlength=classes + 1) for column in seen.T]),
        n,
    )


def unfold(real: StackTruth, counts: Int[np.ndarray, " modes"]) -> Float[np.ndarray, " modes"]:
    """The counts by what is there that make the counts read likeliest; their sum is the same."""
    total = counts.sum()
    true = np.full(real.modes, total / real.modes)
    for _ in range(MAX_ITERATIONS if total else 0):
        expected = real.read(true)
        new = true * real.blamed(counts / np.maximum(expected, np.finfo(float).tiny))
        moved = np.abs(new - true).max()
        true = new
        if moved < TOLERANCE * total:
            break
    return true


def leakage(real: StackTruth, true: Float[np.ndarray, " modes"]) -> Float[np.ndarray, " modes"]:
    """The counts that each mode is expected to get from others by misreading."""
    return np.maximum(real.read(true) - real.kept * true, 0.0)

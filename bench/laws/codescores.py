"""What holds for every score inside classes, of codes that say something, and of what is kept."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import near
from bench.laws.modes import assert_in_range, takes
from metrics import METRICS
from metrics.edited import Drawn
from metrics.information import Informed, Matched
from metrics.within import Grouped

N, CLASSES = 240, 4
law = partial(
    base.law, METRICS.kind, where=takes("within", "informed", "matched", "sorted", "edited")
)
whole_law = partial(base.law, METRICS.kind, where=takes("within", "informed", "edited"))


def _given(metric: Entry, how: str) -> tuple[Any, Any]:
    """Reals, and samples of a model that says and draws all that it should, half of it, none."""
    rng, labels = np.random.default_rng(0), np.arange(N) % CLASSES
    share = {"all": 1.0, "half": 0.5, "none": 0.0}[how]
    if metric.facts.takes == "within":
        centres = 8 * np.eye(CLASSES)
        real, fake = (centres[labels] + rng.normal(0, 1, (N, CLASSES)) for _ in range(2))
        kept = centres[labels] + np.sqrt(share) * (fake - centres[labels])
        return Grouped(real, labels), Grouped(kept, labels)
    if metric.facts.takes == "edited":
        style, other = rng.uniform(0, 1, (2, N, 2))
        kept = np.where(rng.random((N, 1)) < share, style, other)
        asked = (labels + 1) % CLASSES
        return Drawn(_strokes(labels, style), labels), Drawn(_strokes(asked, kept), asked)
    told = rng.random(N) < share
    read = np.where(told, labels, rng.integers(0, CLASSES, N))
    if metric.facts.takes in ("matched", "sorted"):
        return None, Matched((read + 1) % CLASSES, labels, CLASSES, CLASSES)
    numbers = rng.uniform(-1, 1, (N, 2))
    sure = np.full((N, CLASSES), (1 - share) / CLASSES + 1e-6)
    sure[np.arange(N), labels] += share
    log_read = np.log(sure / sure.sum(1, keepdims=True))
    expected = share * numbers + 0.05 * rng.normal(0, 1, (N, 2))
    return None, Informed(labels, log_read, numbers, expected)


def _strokes(labels: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Pictures [n, 28, 28] of one stroke each, whose thickness and slant [n, 2] on [0, 1] say how;
    those of each class are higher and lower than others.
    """
    y, x = np.mgrid[:28, :28] - 13.5
    wide, lean = 1 + 3 * style[:, 0], style[:, 1] - 0.5
    high = 8 + labels
    across = np.abs(x + lean[:, None, None] * y)
    ink = (across <= wide[:, None, None]) & (np.abs(y) <= high[:, None, None])
    return ink.astype(np.float64)


def _ordered(given: Any, order: np.ndarray) -> Any:
    if given is None:
        return None
    return replace(given, **{name: value[order] for name, value in vars(given).items()})


@law(cases=each(["all", "half", "none"]))
def a_score_of_codes_and_classes_is_in_its_range(metric: Entry, how: str) -> None:
    """A finite number in the declared range, the same every time."""
    found = metric.part(*_given(metric, how))
    assert_in_range(found, metric.facts, metric.facts.high)
    assert found.n == N
    assert metric.part(*_given(metric, how)) == found


@whole_law()
def the_order_of_samples_does_not_matter(metric: Entry) -> None:
    """To rounding."""
    real, fake = _given(metric, "half")
    order = np.random.default_rng(1).permutation(N)
    again = metric.part(_ordered(real, order), _ordered(fake, order))
    assert again.value == near(metric.part(real, fake).value, rel=1e-9)


@law()
def what_is_said_and_drawn_counts(metric: Entry) -> None:
    """All of it scores higher than half, and half than nothing."""
    full, half, none = (metric.part(*_given(metric, how)).value for how in ("all", "half", "none"))
    assert full > half > none

"""Scores over features that a task has at hand: Frechet, precision, recall and their like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from bench.core.errors import UsageError
from bench.tasks.values import scored_by
from metrics import Score
from metrics.features import Features
from metrics.neighbours import survey

OF_FEATURES = ("features", "neighbours")
SURVEYED = 5_000
"""Samples of which neighbours are looked for, the first ones: the cost grows with their square."""


Named = tuple[str, Score | float, str]
"""A metric's name, its score, and what stands behind the name: @ and what it rests on."""


def names_given(takes: Iterable[str], tag: str = "", dims: int = 0) -> Iterator[str]:
    """The names on rows of every metric that takes one of these, over what has a tag; not of those
    that are measured on request alone, or meant for fewer dimensions, where they are known.
    """
    suffix = f"@{tag}" if tag else ""
    for entry in scored_by(takes):
        if not entry.facts.on_request and dims <= (entry.facts.most_dims or dims):
            yield entry.name + suffix


def feature_scores(real: np.ndarray, fake: np.ndarray, tag: str) -> Iterator[Named]:
    """Of features [n, d] of an extractor with a tag, every registered metric that is meant for so
    many dimensions and has enough samples.
    """
    all_of = Features(real), Features(fake)
    few = Features(real[:SURVEYED]), Features(fake[:SURVEYED])
    surveyed = None
    for entry in scored_by(OF_FEATURES):
        facts = entry.facts
        if facts.on_request or (facts.most_dims and facts.most_dims < fake.shape[1]):
            continue
        try:
            if facts.takes == "features":
                yield entry.name, entry.part(*all_of), f"@{tag}"
            else:
                surveyed = surveyed or survey(*few)
                yield entry.name, entry.part(*surveyed), f"@{tag}"
        except UsageError:
            continue

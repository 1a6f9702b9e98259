"""The first few of labelled images: of images that are sorted by label, some of every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Int

Labels = Int[np.ndarray, " n"]
T = TypeVar("T")


def in_turn(groups: Sequence[Sequence[T]], limit: int) -> list[T]:
    """One of each group, then the next of each, so that the first few are of all; of more groups
    than that those that lie evenly among them.
    """
    if 0 < limit < len(groups):
        groups = [groups[i * len(groups) // limit] for i in range(limit)]
    longest = max(map(len, groups), default=0)
    mixed = [group[i] for i in range(longest) for group in groups if i < len(group)]
    return mixed[:limit]


def is_sorted(labels: Labels) -> bool:
    """Whether images stand class by class: fewer than half as many changes of label as images in
    random order would have.
    """
    counts = np.unique(labels, return_counts=True)[1] if len(labels) else np.zeros(0)
    if len(counts) < 2:
        return False
    shares = counts / len(labels)
    expected = (len(labels) - 1) * (1 - float((shares**2).sum()))
    return int((labels[1:] != labels[:-1]).sum()) < expected / 2


def first_places(labels: Labels, limit: int | None) -> Int[np.ndarray, " few"]:
    """The places of `limit` images: the first, or, where they are sorted, of the classes in turn,
    each class's in their order.
    """
    if limit is None or limit >= len(labels) or not is_sorted(labels):
        return np.arange(len(labels))[:limit]
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    return np.array(in_turn(groups, limit), dtype=np.int64)


def told_places(places: Int[np.ndarray, " few"], n: int, origin: str) -> str:
    """What to say of images that are not the first; empty where they are."""
    if np.array_equal(places, np.arange(len(places))):
        return ""
    return (
        f"the images of {origin} are sorted by label: {len(places):,} of {n:,} were drawn over the "
        "classes in turn"
    )


def told_alone(labels: Labels) -> str:
    """What to say of images that are all of one class; empty where they are not, or one alone."""
    if len(labels) < 2 or len(np.unique(labels)) > 1:
        return ""
    return f"all {len(labels):,} images have label {int(labels[0])}: other classes are not attacked"

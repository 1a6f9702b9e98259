"""What holds for every score of groups of images by their classes."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.examples import near
from bench.laws.modes import assert_in_range, takes
from metrics import METRICS
from metrics.purity import Groups

law = partial(base.law, METRICS.kind, where=takes("groups"))
SIZES = base.each([0, 1, 30], [2, 8])


def _drawn(groups: int, size: int, seed: int = 0) -> np.ndarray:
    """Labels by lot, of ten classes."""
    return np.random.default_rng(seed).integers(0, 10, (groups, size))


@law(cases=SIZES)
def a_score_of_groups_is_in_its_range(metric: Entry, groups: int, size: int) -> None:
    """A finite number over as many groups; 0 of none."""
    found = metric.part(None, Groups(_drawn(groups, size)))
    assert_in_range(found, metric.facts, metric.facts.high, slack=1e-12)
    assert found.n == groups
    assert groups or found.value == 0


@law()
def neither_order_nor_names_matter(metric: Entry) -> None:
    """Of groups, of the images in each, and of classes."""
    labels, rng = _drawn(30, 8), np.random.default_rng(1)
    found = metric.part(None, Groups(labels)).value
    renamed = rng.permutation(10)[rng.permuted(labels, axis=1)[rng.permutation(30)]]
    assert metric.part(None, Groups(renamed)).value == near(found)


@law()
def one_class_a_group_is_the_one_end_and_all_classes_the_other(metric: Entry) -> None:
    """Nothing drawn is outside them; the class of a group is nobody else's affair."""
    pure = metric.part(None, Groups(np.repeat(np.arange(10)[:, None], 8, 1))).value
    mixed = metric.part(None, Groups(np.tile(np.arange(8), (10, 1)))).value
    lot = metric.part(None, Groups(_drawn(200, 8))).value
    assert pure != mixed
    assert min(pure, mixed) < lot < max(pure, mixed)
    half = metric.part(None, Groups(np.repeat([[0, 1]], 4, 1).repeat(10, 0))).value
    assert min(pure, mixed) < half < max(pure, mixed)


@law()
def groups_of_two_sets_average(metric: Entry) -> None:
    """A mean over groups, and nothing across them."""
    one, other = _drawn(10, 8, 2), np.zeros((30, 8), int)
    both = metric.part(None, Groups(np.concatenate([one, other]))).value
    apart = [metric.part(None, Groups(each)).value for each in (one, other)]
    assert both == near((10 * apart[0] + 30 * apart[1]) / 40)

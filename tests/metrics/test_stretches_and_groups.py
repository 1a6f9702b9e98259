"""Purity of groups and stretches of changes, by hand and against counting."""

from collections import Counter
from math import log

import numpy as np
import pytest
from scipy.stats import entropy

from metrics import METRICS
from metrics.lipschitz import Layers, Moves
from metrics.purity import Groups

LABELS = np.array([[3, 3, 3, 3], [0, 0, 1, 1], [0, 1, 2, 3], [5, 5, 5, 2]])


def _of(name, fake):
    return METRICS[name].part(None, fake)


def test_groups_by_hand():
    purity, spread = _of("class_purity", Groups(LABELS)), _of("class_entropy", Groups(LABELS))
    assert purity.value == pytest.approx((1 + 0.5 + 0.25 + 0.75) / 4)
    assert purity.std_error == pytest.approx(np.std([1, 0.5, 0.25, 0.75], ddof=1) / 2)
    three = -0.75 * log(0.75) - 0.25 * log(0.25)
    assert spread.value == pytest.approx((0 + log(2) + log(4) + three) / 4)
    assert purity.n == spread.n == 4


def test_groups_of_one_class_are_pure():
    """Exactly: 1 and 0, without a sign."""
    found = Groups(np.repeat([[7], [2]], 8, 1))
    assert _of("class_purity", found).value == 1
    assert str(_of("class_entropy", found).value) == "0.0"


def test_groups_against_counting():
    """Of every size, by a counter and by SciPy's entropy."""
    for size in (2, 5, 8):
        labels = np.random.default_rng(size).integers(0, 6, (40, size))
        counts = [list(Counter(group).values()) for group in labels.tolist()]
        wanted = {
            "class_purity": np.mean([max(each) / size for each in counts]),
            "class_entropy": np.mean([entropy(each) for each in counts]),
        }
        for name, value in wanted.items():
            assert _of(name, Groups(labels)).value == pytest.approx(value)


def test_stretches_by_hand():
    """Means of ratios, not a ratio of means; the layer that is asked for."""
    moves = Moves(np.array([2.0, 3.0, 1.0]), np.array([1.0, 6.0, 1.0]))
    assert _of("gain", moves).value == pytest.approx((2 + 0.5 + 1) / 3)
    assert _of("largest_gain", moves).value == 2
    norms = np.array([2.0, 0.5, 3.0])
    assert [_of("layer_norm", Layers(norms, k)).value for k in (1, 2, 3)] == [2, 0.5, 3]
    assert _of("lipschitz_bound", Layers(norms)).value == pytest.approx(3)

"""Scores of codes and inside classes, beside slow ones written by hand."""

from itertools import permutations
from math import e, log, pi

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from bench.core.errors import UsageError
from metrics import METRICS
from metrics.information import Informed, Matched, matching
from metrics.within import Grouped

K = 10


def score(name, real, fake):
    return METRICS[name].part(real, fake)


def informed(log_read, category, numbers=None, expected=None):
    n = len(category)
    none = np.zeros((n, 0))
    return Informed(
        category,
        log_read,
        none if numbers is None else numbers,
        none if expected is None else expected,
    )


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_information_is_the_entropy_and_no_more():
    """Whatever is read: log 10 where every category is read for sure, 0 where none is told, below
    where the reader is sure of others.
    """
    category = np.arange(500) % K
    sure = log_softmax(60.0 * np.eye(K)[category])
    assert score("information", None, informed(sure, category)).value == pytest.approx(log(K))
    even = np.full((500, K), -log(K))
    assert score("information", None, informed(even, category)).value == pytest.approx(0)
    wrong = score("information", None, informed(sure, (category + 1) % K))
    assert wrong.value < -50
    rng = np.random.default_rng(0)
    for scale in (0.1, 1, 10, 100):
        any_read = log_softmax(scale * rng.normal(size=(500, K)))
        assert score("information", None, informed(any_read, category)).value <= log(K)


def test_information_by_hand():
    rng = np.random.default_rng(0)
    read, category = log_softmax(rng.normal(size=(300, 4))), rng.integers(0, 4, 300)
    each = [log(4) + read[i, c] for i, c in enumerate(category)]
    found = score("information", None, informed(read, category))
    assert found.value == pytest.approx(np.mean(each))
    assert found.std_error == pytest.approx(np.std(each, ddof=1) / 300**0.5)


@pytest.mark.parametrize("spread", [0.02, 0.2])
def test_information_of_numbers(spread):
    """H(c) = log 2 less the entropy of a Gaussian of the error's variance, for each."""
    rng = np.random.default_rng(0)
    numbers = rng.uniform(-1, 1, (4_000, 2))
    expected = numbers + rng.normal(0, spread, numbers.shape)
    even = np.full((4_000, K), -log(K))
    found = score(
        "number_information", None, informed(even, np.zeros(4_000, int), numbers, expected)
    )
    assert found.value == pytest.approx(2 * (log(2) - 0.5 * log(2 * pi * e * spread**2)), abs=0.05)
    parts = [
        score("number_information", None, informed(even[:200], np.zeros(200, int), n, x)).value
        for n, x in zip(np.split(numbers, 20), np.split(expected, 20), strict=True)
    ]
    assert found.std_error == pytest.approx(np.std(parts) / 20**0.5, rel=0.5)


def test_numbers_that_are_not_told():
    rng = np.random.default_rng(0)
    numbers = rng.uniform(-1, 1, (4_000, 2))
    even, none = np.full((4_000, K), -log(K)), np.zeros(4_000, int)
    found = score("number_information", None, informed(even, none, numbers, 0 * numbers))
    assert found.value == pytest.approx(-2 * 0.1765, abs=0.02)


def test_categories_stand_for_classes_in_any_order():
    rng = np.random.default_rng(0)
    category = rng.integers(0, K, 1_000)
    found = score("code_accuracy", None, Matched(category, rng.permutation(K)[category], K, K))
    assert found.value == 1
    assert found.n == 1_000


def test_codes_that_say_nothing_are_right_one_time_in_ten():
    """And no more often, though the matching is the best there is."""
    rng = np.random.default_rng(0)
    found = [
        score("code_accuracy", None, Matched(*rng.integers(0, K, (2, 500)), K, K)).value
        for _ in range(40)
    ]
    assert np.mean(found) == pytest.approx(0.1, abs=0.01)


def test_the_matching_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(5):
        told = Matched(*rng.integers(0, 5, (2, 60)), 5, 5)
        known = np.ones(60, dtype=bool)
        found = (matching(told, known)[told.category] == told.read).sum()
        best = max(
            (np.array(order)[told.category] == told.read).sum() for order in permutations(range(5))
        )
        assert found == best


def test_one_class_stands_for_one_category():
    """Where there are fewer classes than categories some stand for none."""
    category = np.arange(600) % 6
    found = score("code_accuracy", None, Matched(category, category // 2, 6, 3))
    assert found.value == pytest.approx(0.5)


def grouped(seed, n=60, classes=3, spread=1.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return Grouped(20 * np.eye(classes)[labels] + spread * rng.normal(size=(n, classes)), labels)


def test_recall_inside_classes_by_hand():
    """Held-out images of a class among the samples of it: reals and fakes are no mirror."""
    real, fake = grouped(0), grouped(1, n=45)
    shares = []
    for label in range(3):
        held, drawn = real.features[real.labels == label], fake.features[fake.labels == label]
        radius = np.sort(cdist(drawn, drawn), 1)[:, 3]
        shares.append((cdist(held, drawn) < radius).any(1).mean())
    found = score("class_recall", real, fake)
    assert found.value == pytest.approx(np.mean(shares))
    assert found.std_error == pytest.approx(np.std(shares, ddof=1) / 3**0.5)
    assert score("class_recall", fake, real).value != pytest.approx(found.value)


def test_diversity_inside_classes_by_hand():
    real, fake = grouped(0), grouped(1, spread=0.5)
    ratios = [
        pdist(fake.features[fake.labels == k]).mean()
        / pdist(real.features[real.labels == k]).mean()
        for k in range(3)
    ]
    found = score("class_diversity", real, fake)
    assert found.value == pytest.approx(np.mean(ratios))
    assert 0.4 < found.value < 0.6


def test_one_image_for_each_class_has_neither():
    real = grouped(0)
    one = Grouped(20 * np.eye(3)[real.labels], real.labels)
    assert score("class_recall", real, one).value == 0
    assert score("class_diversity", real, one).value == 0


def test_a_class_is_the_one_that_was_asked_for():
    """Samples of all classes under one another's labels are far apart, and not among its reals."""
    real, fake = grouped(0), grouped(1)
    turned = Grouped(fake.features, np.roll(fake.labels, 1))
    assert score("class_recall", real, fake).value > 0.5
    assert score("class_recall", real, turned).value == 0
    mixed = Grouped(fake.features, np.repeat(np.arange(3), 20))
    assert score("class_diversity", real, mixed).value > 5


def test_a_class_with_too_few_is_refused():
    real, fake = grouped(0), grouped(1, n=9)
    with pytest.raises(UsageError, match="class 0 has 20 real images and 3 samples: expected 4"):
        score("class_recall", real, fake)

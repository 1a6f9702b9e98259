"""Ranks and the tests on them, held against scipy's."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, rankdata

from results.ranks import mid_ranks, tails

SHAPES = [(1, 1), (2, 3), (10, 5), (20, 200), (7, 0), (31, 40)]
KINDS = {
    "all different": lambda rng, shape: rng.normal(size=shape),
    "ties": lambda rng, shape: rng.integers(0, 4, shape).astype(float),
    "diverged": lambda rng, shape: np.where(
        rng.random(shape) < 0.3, np.inf, rng.integers(0, 3, shape)
    ),
    "all the same": lambda rng, shape: np.full(shape, -np.inf),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_mid_ranks_are_scipys(shape, kind):
    values = KINDS[kind](np.random.default_rng(0), shape)
    np.testing.assert_array_equal(mid_ranks(values), rankdata(values, axis=0))


def test_tails_are_the_exact_test_of_mann_and_whitney():
    rng = np.random.default_rng(1)
    old, new = rng.normal(size=(5, 6)), rng.normal(0.5, 1, size=(4, 6))
    worse, better = tails(old, new)
    for i in range(6):
        for p, side in ((worse[i], "greater"), (better[i], "less")):
            found = mannwhitneyu(new[:, i], old[:, i], alternative=side, method="exact")
            assert p == pytest.approx(found.pvalue)

"""The gate's statistics against SciPy, textbook figures and loops over every relabeling."""

from __future__ import annotations

from base64 import b64encode
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, mannwhitneyu, permutation_test

from results.gate.joint import joint_tails
from results.gate.levels import share_out
from results.gate.outcomes import bits, change
from results.gate.policy import Policy
from results.gate.seeded import MOST_SEEDS, seeds_needed
from results.ranks import holm, relabelings, shift, smallest_p, tails

SIZES = [(3, 3), (2, 5), (4, 4), (5, 3), (5, 5), (6, 4)]
ALPHA = 0.05


def draws(old, new, series, seed=0, ties=False):
    rng = np.random.default_rng([old, new, series, seed])
    both = rng.normal(size=(old + new, series))
    both = np.round(2 * both) / 2 if ties else both
    return both[:old], both[old:]


def packed(outcomes):
    return b64encode(np.packbits(np.asarray(outcomes, bool)).tobytes()).decode()


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_tails_are_mann_and_whitneys(old, new):
    """Without ties: SciPy's exact distribution, both ways."""
    before, after = draws(old, new, 12)
    worse, better = tails(before, after)
    for i in range(12):
        sides = after[:, i], before[:, i]
        assert worse[i] == pytest.approx(
            mannwhitneyu(*sides, alternative="greater", method="exact").pvalue
        )
        assert better[i] == pytest.approx(
            mannwhitneyu(*sides, alternative="less", method="exact").pvalue
        )


def mean_ranks(values):
    """Ranks from first principles: how many are smaller, and half of the equal ones."""
    less = (values[None] < values[:, None]).sum(1)
    same = (values[None] == values[:, None]).sum(1)
    return less + (same + 1) / 2


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_tails_with_ties_are_those_of_the_permutation_test(old, new):
    """The exact distribution of the rank sum under the ties that were seen."""
    before, after = draws(old, new, 6, ties=True)
    before[:, 0] = after[:, 0] = 1.0
    worse, better = tails(before, after)
    assert (worse[0], better[0]) == (1.0, 1.0)
    for i in range(1, 6):
        ranks = mean_ranks(np.concatenate([before[:, i], after[:, i]]))
        assert len(set(ranks)) < len(ranks)
        for p, side in ((worse[i], "greater"), (better[i], "less")):
            expected = permutation_test(
                (ranks[old:], ranks[:old]),
                lambda x, y, axis: x.sum(axis),
                vectorized=True,
                n_resamples=np.inf,
                alternative=side,
            )
            assert p == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("old", "new"), [(3, 3), (4, 3), (2, 5)])
@pytest.mark.parametrize("ties", [False, True])
def test_joint_tails_by_brute_force(old, new, ties):
    """Every choice of the new seeds, whole seeds at a time: squares of the differences of means
    over the pooled spread, with the margin as its least.
    """
    before, after = draws(old, new, 4, seed=1, ties=ties)
    before[:, 1] = after[:, 1] = 0.5
    margins = np.array([0.1, 0.2, 0.0, 1.5])
    both = np.concatenate([before, after])

    def moved(some, i):
        inside = [both[k, i] for k in some]
        outside = [both[k, i] for k in range(old + new) if k not in some]
        means = [sum(side) / len(side) for side in (inside, outside)]
        left = sum(
            (x - m) ** 2 for side, m in zip((inside, outside), means, strict=True) for x in side
        )
        spread = left / (old + new - 2) + margins[i] ** 2
        return (means[0] - means[1]) / spread**0.5 if spread > 1e-12 else 0.0

    every = [*combinations(range(old + new), new)]
    for sign, found in zip((1, -1), joint_tails(before, after, margins), strict=True):
        sums = [sum(max(sign * moved(some, i), 0) ** 2 for i in range(4)) for some in every]
        seen = sums[every.index(tuple(range(old, old + new)))]
        assert found == pytest.approx(sum(one >= seen - 1e-9 for one in sums) / len(sums))


def test_joint_tails_of_nothing_but_constants():
    same = np.ones((4, 3))
    assert joint_tails(same, same, np.zeros(3)) == (1.0, 1.0)


def test_joint_tails_see_one_series_that_collapsed():
    """Among forty that are noise, at three seeds against six; mean ranks would not."""
    rng = np.random.default_rng(0)
    before, after = 1 + 0.06 * rng.normal(size=(6, 40)), 1 + 0.06 * rng.normal(size=(3, 40))
    before[:, 0], after[:, 0] = 0.01 + 0.001 * rng.normal(size=6), 0.99 + 0.001 * rng.normal(size=3)
    assert joint_tails(before, after, np.full(40, 0.02))[0] == pytest.approx(1 / 84)


def test_relabelings_are_all_and_the_first_is_how_it_is():
    ways = relabelings(4, 3)
    assert ways.exact
    assert ways.new.shape == (comb(7, 3), 7)
    assert len({tuple(way) for way in ways.new.tolist()}) == comb(7, 3)
    assert set(ways.new.sum(1)) == {3}
    assert ways.new[0].tolist() == [False] * 4 + [True] * 3


def test_drawn_relabelings_keep_a_p_value_valid():
    """Near the exact ones, and never below one over all that were looked at."""
    before, after = draws(7, 6, 8, seed=2)
    ways = relabelings(7, 6, 500)
    assert not ways.exact
    assert ways.new[0].tolist() == [False] * 7 + [True] * 6
    assert set(ways.new.sum(1)) == {6}
    exact, drawn = tails(before, after), tails(before, after, 500)
    for one, other in zip(exact, drawn, strict=True):
        assert np.abs(one - other).max() < 0.1
    worse, better = tails(before, before[:6] + 100, 500)
    assert (worse >= 1 / 501).all()
    assert (worse <= 3 / 501).all()
    assert (better == 1).all()


@pytest.mark.parametrize(("seeds", "both_ways"), [(3, 0.10), (4, 0.029), (5, 0.0079), (6, 0.0022)])
def test_the_smallest_p(seeds, both_ways):
    """Those of the specification, which are two-sided; and they are reached."""
    least = smallest_p(seeds, seeds)
    assert 2 * least == pytest.approx(both_ways, rel=0.03)
    before = np.arange(float(seeds))[:, None]
    worse, better = tails(before, before + seeds)
    assert (worse[0], better[0]) == (pytest.approx(least), 1.0)
    assert smallest_p(0, 5) == smallest_p(5, 0) == 1.0


def test_a_textbook_holm():
    """Four p-values; only the two smallest stay below .05."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert len(holm(np.empty(0))) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_as_step_down_does(ps, level):
    """Step by step: the k-th smallest is held against level / (m - k + 1) until one fails."""
    adjusted = holm(np.array(ps))
    rejected = set()
    for k, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        if ps[i] > level / (len(ps) - k):
            break
        rejected.add(i)
    edge = {i for i, p in enumerate(adjusted) if p == pytest.approx(level)}
    assert {i for i, p in enumerate(adjusted) if p <= level} - edge == rejected - edge
    assert (adjusted >= np.array(ps)).all()
    assert (adjusted <= 1).all()


def p_worse(old, new, moved):
    return mannwhitneyu(new - moved, old, alternative="greater", method="exact").pvalue


def p_better(old, new, moved):
    return mannwhitneyu(new - moved, old, alternative="less", method="exact").pvalue


@pytest.mark.parametrize(("old", "new"), [(3, 3), (5, 5), (4, 6), (10, 5), (8, 8)])
def test_bounds_of_the_shift_invert_the_test(old, new):
    """Just inside a bound the exact test does not reject that shift, just outside it does."""
    before, after = draws(old, new, 5, seed=3)
    found = shift(before, after, ALPHA)
    for i in range(5):
        one, other, tiny = before[:, i], after[:, i], 1e-7
        every = sorted(b - a for a, b in product(one, other))
        assert found.estimate[i] == pytest.approx(np.median(every))
        low, high = found.low[i], found.high[i]
        assert low < found.estimate[i] < high
        assert p_worse(one, other, low - tiny) <= ALPHA < p_worse(one, other, low + tiny)
        assert p_better(one, other, high + tiny) <= ALPHA < p_better(one, other, high - tiny)


@pytest.mark.parametrize(("old", "new"), [(1, 1), (2, 2), (3, 2), (1, 9)])
def test_too_few_seeds_bound_nothing(old, new):
    found = shift(*draws(old, new, 3), ALPHA)
    assert smallest_p(old, new) > ALPHA
    assert (found.low == -np.inf).all()
    assert (found.high == np.inf).all()
    assert np.isfinite(found.estimate).all()


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_bounds_of_the_shift_cover_it(alpha):
    """One-sided, each: over many draws they err in at most alpha of them."""
    count, true = 4_000, 0.7
    before, after = draws(5, 5, count, seed=4)
    found = shift(before, after + true, alpha)
    slack = 4 * np.sqrt(alpha * (1 - alpha) / count)
    for wrong in ((found.low > true).mean(), (found.high < true).mean()):
        assert alpha / 3 < wrong <= alpha + slack


def test_diverged_seeds_are_worse_than_any_value():
    """Infinite values rank as a huge number would; no bound is nan."""
    before, after = draws(5, 5, 4, seed=5)
    huge_before, huge_after = before.copy(), after.copy()
    for i, count in enumerate((1, 3, 5, 2)):
        after[:count, i], huge_after[:count, i] = np.inf, 1e9
    before[0, 3], huge_before[0, 3] = np.inf, 1e9
    for one, other in zip(tails(before, after), tails(huge_before, huge_after), strict=True):
        assert one == pytest.approx(other)
    zero = np.zeros(before.shape[1])
    assert all(0 < p <= 1 for p in joint_tails(before, after, zero))
    found, huge = shift(before, after, ALPHA), shift(huge_before, huge_after, ALPHA)
    for name in ("estimate", "low", "high"):
        one, other = getattr(found, name), getattr(huge, name)
        assert not np.isnan(one).any()
        far = np.abs(other) > 1e8
        assert (one[far] == np.sign(other[far]) * np.inf).all()
        assert one[~far] == pytest.approx(other[~far])
    assert found.estimate[2] == np.inf


def test_all_seeds_diverged_on_both_sides_is_no_change():
    lost = np.full((5, 1), np.inf)
    worse, better = tails(lost, lost)
    found = shift(lost, lost, ALPHA)
    assert (worse[0], better[0]) == (1.0, 1.0)
    assert (found.estimate[0], found.low[0], found.high[0]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("down", "up"), [(0, 0), (0, 7), (7, 0), (9, 2), (30, 31)])
@pytest.mark.parametrize("sign", [1, -1])
def test_mcnemar_is_a_binomial_test_of_what_changed(down, up, sign):
    n = 100
    before, after = np.zeros(n, bool), np.zeros(n, bool)
    before[:down], after[down : down + up] = True, True
    before[80:] = after[80:] = True
    worse, better = (down, up) if sign > 0 else (up, down)
    found = change([before], [after], ["examples"], sign)
    assert (found.n, found.worse, found.better) == (n, worse, better)
    assert found.loss == pytest.approx((worse - better) / n)
    if down + up:
        for p, count in ((found.p_worse, worse), (found.p_better, better)):
            expected = binomtest(count, down + up, 0.5, alternative="greater").pvalue
            assert p == pytest.approx(expected)
    else:
        assert (found.p_worse, found.p_better) == (1.0, 1.0)


def test_mcnemar_by_hand():
    """Of six changes all for the worse: 1 in 64."""
    before, after = np.ones(50, bool), np.ones(50, bool)
    after[:6] = False
    found = change([before], [after], ["x"], 1)
    assert found.p_worse == pytest.approx(1 / 64)
    assert found.p_better == 1.0


def test_the_seeds_of_one_example_are_no_independent_draws():
    """Eight examples lost for all five seeds are eight, not forty; for other examples they add."""
    before, after = np.ones((5, 40), bool), np.ones((5, 40), bool)
    after[:, :8] = False
    shared = change(list(before), list(after), ["same"] * 5, 1)
    assert (shared.n, shared.worse, shared.better) == (200, 40, 0)
    assert shared.p_worse == pytest.approx(2.0**-8)
    apart = change(list(before), list(after), list("abcde"), 1)
    assert apart.p_worse == pytest.approx(2.0**-40)


def test_an_example_goes_with_its_net_change():
    """Lost for two seeds and won for one: lost. Lost for one and won for one: nothing."""
    before = [np.array([1, 1, 0, 1], bool), np.array([1, 0, 0, 1], bool), np.array([0, 1, 0, 1])]
    after = [np.array([0, 0, 0, 1], bool), np.array([0, 1, 0, 1], bool), np.array([1, 1, 0, 0])]
    found = change(before, after, ["same"] * 3, 1)
    assert (found.worse, found.better) == (4, 2)
    assert found.p_worse == pytest.approx(binomtest(2, 2, 0.5, "greater").pvalue)


@pytest.mark.parametrize(("worse", "better", "n"), [(0, 0, 10), (3, 1, 50), (40, 0, 40)])
def test_bounds_of_a_paired_loss_come_from_wilson(worse, better, n):
    before, after = np.zeros(n, bool), np.zeros(n, bool)
    before[:worse] = True
    after[worse : worse + better] = True
    found = change([before], [after], ["x"], 1)
    lost, won = (
        binomtest(count, n).proportion_ci(0.95, method="wilson") for count in (worse, better)
    )
    assert found.low == pytest.approx(lost.low - won.high, abs=1e-6)
    assert found.high == pytest.approx(lost.high - won.low, abs=1e-6)
    assert found.low <= found.loss <= found.high


def test_outcomes_survive_packing():
    wanted = np.random.default_rng(0).random(37) < 0.5
    assert (bits(packed(wanted), 37) == wanted).all()


@pytest.mark.parametrize(
    ("text", "n", "said"),
    [("%%%", 8, "no base64"), ("AAAA", 8, "outcomes of 8 examples, got 24"), ("", 3, "got 0")],
)
def test_outcomes_that_are_none_are_refused(text, n, said):
    with pytest.raises(ValueError, match=said):
        bits(text, n)


@pytest.mark.parametrize(
    ("loss", "margin", "alpha"), [(0.12, 0.05, 0.05), (0.12, 0.05, 0.005), (0.2, 0.0, 0.01)]
)
def test_seeds_needed_show_a_loss(loss, margin, alpha):
    """A loss beyond the margin is told from none in about 80 % of the runs."""
    spread, runs = 0.1, 1_500
    seeds = seeds_needed(loss, margin, spread, alpha)
    assert seeds is not None
    before, after = (spread * side for side in draws(seeds, seeds, runs, seed=6))
    power = (tails(before, after + loss, 4_000)[0] <= alpha).mean()
    assert 0.6 < power < 0.97


def test_seeds_needed_rule_out_a_loss():
    """Where nothing changed, a loss of the margin is ruled out in about 80 % of the runs."""
    spread, margin = 0.1, 0.1
    seeds = seeds_needed(0.0, margin, spread, ALPHA)
    assert seeds is not None
    before, after = (spread * side for side in draws(seeds, seeds, 2_000, seed=7))
    assert 0.7 < (shift(before, after, ALPHA).high <= margin).mean() < 0.95


def test_seeds_needed_are_plausible():
    """More for a smaller gap or a stricter level; enough for the level to be reached at all."""
    assert seeds_needed(0.2, 0.0, 0.1, ALPHA) < seeds_needed(0.1, 0.0, 0.1, ALPHA)
    assert seeds_needed(0.1, 0.0, 0.1, 0.05) < seeds_needed(0.1, 0.0, 0.1, 0.001)
    few = seeds_needed(1e9, 0.0, 0.1, 0.005)
    assert smallest_p(few, few) <= 0.005 < smallest_p(few - 1, few - 1)


@pytest.mark.parametrize(
    ("loss", "margin", "spread"),
    [(1e-9, 0, 1), (0.1, 0.1, 1), (np.inf, 0.1, 1), (0.1, 0.2, np.nan), (0, 0, 0.1)],
)
def test_seeds_needed_say_nothing_where_nothing_is_known(loss, margin, spread):
    """Beyond a thousand seeds, at the margin itself, or without a spread."""
    assert seeds_needed(loss, margin, spread, ALPHA) is None
    assert MOST_SEEDS == 1_000


@settings(max_examples=300)
@given(
    st.floats(0.001, 0.49),
    st.floats(0, 1),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 12),
    st.integers(1, 12),
)
def test_the_error_rate_is_shared_out_and_never_exceeded(alpha, share, paired, seeded, old, new):
    """The tests of one gate together get alpha at the most, and one that runs gets something."""
    levels = share_out(Policy(alpha=alpha, suite_share=share), paired, seeded, smallest_p(old, new))
    parts = (levels.paired, levels.series, levels.joint)
    assert min(parts) >= 0
    assert sum(parts) <= alpha * (1 + 1e-12)
    assert not paired or levels.paired > 0
    assert not seeded or levels.series + levels.joint > 0

"""How often the gate errs and what it sees, over simulated runs: the figures of docs/gate.md."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import noise, side

from results.gate.judging import compare_sides
from results.gate.policy import Policy
from results.statistics import wilson

SPREAD = 0.06
SERIES = 8
CORRELATIONS = (0.0, 0.3, 0.6, 0.9)
SEEDS = ((3, 3), (5, 5), (10, 10), (10, 5))


def red(
    seeds: tuple[int, int], correlation: float, effect: np.ndarray | float, runs: int
) -> tuple[float, float]:
    """The share of simulated comparisons that turn red, and its upper 95 % limit."""
    name = (*seeds, int(100 * correlation), int(1000 * np.sum(effect)))
    rng, count = np.random.default_rng(name), 0
    for _ in range(runs):
        old, new = (1 + SPREAD * noise(n, SERIES, correlation, rng) for n in seeds)
        found = compare_sides(
            side("old", old), side("new", new + effect, first_seed=1000), Policy()
        )
        count += found.exit_code == 3
    at = wilson(count / runs, runs)
    assert at.high is not None
    return at.mean, at.high


@pytest.mark.slow
@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds[0]}v{seeds[1]}")
def test_false_alarms_are_rare(seeds, correlation):
    """Nothing changed: at most one run in twenty turns red."""
    share, high = red(seeds, correlation, 0.0, 1_000)
    print(f"\nfalse alarms {seeds} r={correlation}: {share:.3f}, up to {high:.3f}")
    assert share <= 0.05
    assert high < 0.08


@pytest.mark.slow
@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds[0]}v{seeds[1]}")
def test_a_loss_of_ten_percent_is_seen(seeds, correlation):
    """Every series worse by 10 %; promised for 5 seeds and independent series."""
    share, _ = red(seeds, correlation, 0.1, 300)
    print(f"\npower {seeds} r={correlation}: {share:.3f}")
    if correlation == 0 and min(seeds) >= 5:
        assert share >= 0.9
    assert share >= 0.5


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds[0]}v{seeds[1]}")
def test_one_series_that_falls_is_seen(seeds):
    """One of eight worse by 30 %: with five seeds or more."""
    effect = np.zeros(SERIES)
    effect[0] = 0.3
    share, _ = red(seeds, 0.6, effect, 300)
    print(f"\none series {seeds}: {share:.3f}")
    assert share >= 0.9 or min(seeds) < 5


def test_a_few_simulated_runs():
    """The simulation itself, in seconds: hardly an alarm, and every loss of 30 % seen."""
    assert red((5, 5), 0.6, 0.0, 20)[0] <= 0.1
    assert red((5, 5), 0.6, 0.3, 5)[0] == 1.0

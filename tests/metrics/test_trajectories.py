"""The way of a training: known answers on ways that are written down."""

from __future__ import annotations

import numpy as np
import pytest

from metrics import METRICS, ModeTally, ModeTruth
from metrics.signature import Contest
from metrics.trajectories import Sight, Trajectory

K = 4


def way(rows: list[str], near: list[str] | None = None) -> Trajectory:
    """Looks every 10 steps; a letter x for a mode that is covered. near: those that samples are
    near, in equal shares.
    """
    covered = np.array([[letter == "x" for letter in row] for row in rows])
    seen = np.array([[letter == "x" for letter in row] for row in near or rows], dtype=float)
    shares = seen / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    steps = 10 * np.arange(1, len(rows) + 1)
    return Trajectory(np.full(K, 1 / K), steps, shares, covered)


def score(name: str, seen: Trajectory) -> float:
    return METRICS[name].part(None, seen).value


@pytest.mark.parametrize(
    ("rows", "step"),
    [
        (["....", "xx..", "xxxx", "xxxx"], 30),
        (["xxxx", "....", "....", "...."], 10),
        (["xxx.", "xxx.", "xxx.", "xxx."], 40),
        (["....", "....", "....", "xxxx"], 40),
    ],
)
def test_coverage_takes_until_the_first_look_that_has_it(rows, step):
    assert score("coverage_step", way(rows)) == step


def test_what_is_forgotten_and_found_again_is_counted_mode_by_mode():
    seen = way(["xx..", "x.x.", ".xx.", "xxx.", "xx.x"])
    # forgotten: mode 1 after the first look, 0 after the second, 2 after the fourth
    assert score("modes_forgotten", seen) == 3
    # found again: mode 1 at the third, 0 at the fourth; 2 and 3 are new
    assert score("modes_found_again", seen) == 2
    assert score("modes_ever", seen) == 4
    assert score("coverage_mean", seen) == pytest.approx((2 + 2 + 2 + 3 + 3) / 20)


@pytest.mark.parametrize(
    ("near", "step", "since"),
    [
        (["xxxx", "x...", "x...", "x...", "xxxx"], 20, None),
        (["xxxx", "x...", "x...", "xxxx", "xxxx"], 50, None),
        (["xx..", ".xx.", "..xx", "...x", "x..."], 10, 0),
        (["xxxx", "xxx.", "xx..", "xx..", "xx.."], 30, 2),
        (["xxxx", "xxxx", "xxxx", "xx..", "xx.."], 50, None),
        (["x...", "x...", "x...", "xxxx", "x..."], 10, None),
        (["x...", "xxxx", "x...", "x...", "x..."], 30, 2),
    ],
)
def test_a_collapse_is_three_looks_in_a_row_near_half_of_the_modes(near, step, since):
    seen = way(["...."] * 5, near)
    assert score("collapse_step", seen) == step
    assert seen.collapsed_since == since


def test_how_much_of_a_training_is_collapsed():
    seen = way(["...."] * 4, ["xxxx", "x...", "xxx.", "xx.."])
    assert score("collapsed_share", seen) == 0.5


def test_near_is_by_a_quarter_of_the_fair_share():
    shares = np.array([[0.5, 0.1, 0.06, 0.34]])
    seen = Trajectory(np.array([0.25] * 4), np.array([1]), shares, np.zeros((1, 4), bool))
    assert seen.near.tolist() == [3]  # 0.06 is less than a quarter of 0.25
    weights = np.array([0.1, 0.5, 0.2, 0.2])  # a quarter of 0.5 is more than 0.1
    assert Trajectory(weights, seen.steps, shares, seen.covered).near.tolist() == [3]


def test_a_trajectory_has_a_sight_for_each_look():
    sight = Sight(np.full(2, 0.5), np.array([1.0, 0.0]), np.array([True, False]))
    assert Trajectory.of([5, 9], [sight, sight]).steps.tolist() == [5, 9]
    with pytest.raises(ValueError, match="a sight for each of 2 looks, got 1"):
        Trajectory.of([5, 9], [sight])


def test_modes_near_tells_a_collapse_from_a_blur():
    """Both cover nothing: a point beside one mode, and samples scattered beside all."""
    real = ModeTruth(np.full(4, 0.24), np.full(4, 0.25))
    none = np.zeros(4, dtype=np.int64)
    point = ModeTally(none, np.array([1000, 0, 0, 0]), 1000)
    blur = ModeTally(none, np.array([400, 300, 238, 62]), 1000)
    part = METRICS["modes_near"].part
    assert [part(real, each).value for each in (point, blur)] == [1, 3]


def test_a_critic_is_right_about_reals_above_and_fakes_below():
    real, fake = np.array([1.0, 2.0, -1.0, 3.0]), Contest(np.array([-1.0, -2, 4, -3]), np.ones(4))
    assert METRICS["critic_accuracy"].part(real, fake).value == 6 / 8
    # of 16 pairs the real is below the fake 4: all with the fake of 4; -1 and -1 are level
    separation = METRICS["critic_separation"].part(real, fake).value
    assert separation == pytest.approx((16 - 4 - 0.5) / 16)
    assert METRICS["critic_separation"].part(real + 100, fake).value == 1
    slopes = Contest(fake.logits, np.array([1.0, 3.0, 5.0, 7.0]))
    assert METRICS["critic_slope"].part(real, slopes).value == 4


def test_flat_codes_are_those_that_no_direction_moves():
    stretches = np.array([[0.04, 0.001], [0.06, 0.0], [2.0, 1.0], [0.01, 0.01]])
    assert METRICS["generator_flat"].part(None, stretches).value == 0.5
    assert METRICS["generator_stretch"].part(None, stretches).value == pytest.approx(0.05)
    condition = METRICS["generator_condition"].part(None, stretches).value
    decades = [np.log10(40), np.log10(600), np.log10(2), 0]
    assert condition == pytest.approx(np.median(decades))

"""Curves from distances, their areas, and the ratio to the best known."""

import numpy as np
import pytest

from metrics.optimality import area, local_optimality, ratios, success_curve

INF = np.inf


def test_success_is_counted_within_each_radius():
    """A distance equal to the radius counts; what was wrong already counts at 0."""
    curve = success_curve(np.array([0.0, 0.1, 0.3, INF]), np.array([0.0, 0.05, 0.1, 0.3, 9.0]))
    assert curve.tolist() == [0.25, 0.25, 0.5, 0.75, 0.75]


def test_the_area_is_that_under_the_curve():
    """By adding up robust accuracy over a fine grid."""
    rng = np.random.default_rng(0)
    distances = np.where(rng.random(200) < 0.2, INF, rng.exponential(0.5, 200))
    grid = (np.arange(100_000) + 0.5) / 100_000 * 1.5
    by_hand = 1.5 * (1 - success_curve(distances, grid)).mean()
    assert area(distances, 1.5) == pytest.approx(by_hand, abs=1e-4)


def test_the_best_has_1_and_what_finds_nothing_0():
    best = np.array([0.0, 0.2, 0.4, 1.0])
    nothing = np.array([0.0, INF, INF, INF])
    assert local_optimality(best, best) == 1
    assert local_optimality(nothing, best) == pytest.approx(0)
    assert local_optimality(nothing, best, most=2.0) == pytest.approx(0)
    assert local_optimality(nothing, nothing) == 1


def test_optimality_by_hand():
    """A = (0 + .4 + .4 + 1) / 4 = .45, A* = .4, clean accuracy .75, d = 1: 1 - .05 / .35."""
    best, found = np.array([0.0, 0.2, 0.4, 1.0]), np.array([0.0, 0.4, 0.4, INF])
    assert local_optimality(found, best) == pytest.approx(1 - 0.05 / 0.35)
    assert local_optimality(np.array([0.0, 0.1, 0.4, 1.0]), best) > 1


def test_ratios_are_image_by_image():
    found, best = np.array([0.0, 0.3, INF, INF]), np.array([0.0, 0.2, 0.5, INF])
    assert ratios(found, best).tolist() == pytest.approx([1.0, 1.5, INF, 1.0])


def test_other_images_and_no_distances_are_refused():
    with pytest.raises(ValueError, match="distances of the same images, 0 for the same ones"):
        local_optimality(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="distances of 0 or more, one at least"):
        success_curve(np.array([-1.0]), np.array([1.0]))
    with pytest.raises(ValueError, match="distances of 0 or more, one at least"):
        area(np.array([]), 1.0)
    with pytest.raises(ValueError, match="a largest radius above 0 and finite, got inf"):
        area(np.array([1.0]), INF)

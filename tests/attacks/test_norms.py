"""Norms, projections into their balls, and the steepest step."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog

from attacks import ATTACKS, UNIT
from attacks.norms import into_box, project, size, spread, steepest, unit
from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.laws.attacks import BOXES
from bench.laws.scenes import leads, linear, pictures, sizes

CONVEX = ("linf", "l2", "l1")


def _best_by_programming(slope, image, norm, radius, box):
    """The most that slope @ r can be, by a linear program over r = up - down."""
    n = len(slope)
    up, down = ([None] * n,) * 2 if box is None else (box[1] - image, image - box[0])
    if norm == "linf":
        rows, limit = np.hstack([np.eye(n), np.eye(n)]), np.full(n, radius)
    else:
        rows, limit = np.ones((1, 2 * n)), [radius]
    bounds = [(0, end) for end in (*up, *down)]
    found = linprog(np.concatenate([-slope, slope]), rows, limit, bounds=bounds)
    assert found.success
    return -found.fun


@pytest.mark.parametrize("radius", [0.02, 0.3, 2.5])
@pytest.mark.parametrize(
    ("norm", "box"), [("linf", None), ("linf", UNIT), ("l2", None), ("l1", None), ("l1", UNIT)]
)
def test_fgsm_is_optimal_on_a_linear_model(norm, box, radius):
    """Of two classes, to 1e-6: against a linear program, or the closed form in l2."""
    model, images, labels, weights = linear(2)
    found = ATTACKS["fgsm"].part(
        model, images, labels, radius=radius, norm=norm, seeds=labels, box=box
    )
    gained = leads(model, found, labels) - leads(model, images, labels)
    for image, label, gain in zip(images, labels, gained, strict=True):
        slope = (weights[:, 1 - label] - weights[:, label]).numpy()
        if norm == "l2":
            best = radius * np.linalg.norm(slope)
        else:
            best = _best_by_programming(slope, image.flatten().numpy(), norm, radius, box)
        assert gain.item() == pytest.approx(best, abs=1e-6)


def _differences(dtype=torch.float64):
    """A few vectors of the same length, some of their entries 0 or alike."""
    entry = st.one_of(st.floats(-10, 10, width=32), st.sampled_from([0.0, -0.0, 1.0, -1.0]))
    rows = st.integers(1, 9).flatmap(
        lambda n: st.lists(st.lists(entry, min_size=n, max_size=n), min_size=1, max_size=4)
    )
    return rows.map(lambda values: torch.tensor(values, dtype=dtype))


RADII = st.floats(0, 12, width=32)


@pytest.mark.parametrize("norm", CONVEX)
@settings(max_examples=60, deadline=None)
@given(difference=_differences(), radius=RADII)
def test_a_projection_is_the_nearest_point_of_the_ball(norm, difference, radius):
    """Inside; inner points to the bit as they were; no point of the ball lies beyond it.

    The last: the largest product of the ball with what was taken off is had at the projection
    (the variational inequality), and is the radius times the dual norm of what was taken off.
    """
    found = project(difference, radius, norm)
    inside = sizes(difference, norm) <= radius
    assert (sizes(found, norm) <= radius * (1 + 1e-9) + 1e-9).all()
    assert torch.equal(found[inside], difference[inside])
    off = difference - found
    dual = {"linf": "l1", "l2": "l2", "l1": "linf"}[norm]
    torch.testing.assert_close(
        (off * found).sum(1), radius * sizes(off, dual), rtol=1e-7, atol=1e-7
    )


@pytest.mark.parametrize("norm", CONVEX)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=40, deadline=None)
@given(difference=_differences(), radius=RADII)
def test_projecting_twice_is_projecting_once(norm, dtype, difference, radius):
    """To rounding; and in the ball to 1e-5 in single precision too."""
    once = project(difference.to(dtype), radius, norm)
    slack = 1e-5 if dtype == torch.float32 else 1e-9
    assert once.dtype == dtype
    assert (sizes(once, norm) <= radius + slack).all()
    torch.testing.assert_close(project(once, radius, norm), once, rtol=slack, atol=slack)


@settings(max_examples=60, deadline=None)
@given(difference=_differences(), radius=st.floats(0.015625, 12, width=32))
def test_the_projection_in_l1_is_that_of_scipy(difference, radius):
    """The threshold as the root of what is left over the radius."""
    found = project(difference, radius, "l1")
    for row, projected in zip(difference.numpy(), found.numpy(), strict=True):
        sizes = np.abs(row)
        if sizes.sum() <= radius:
            continue
        left = lambda off: np.maximum(sizes - off, 0).sum() - radius  # noqa: E731, B023
        off = brentq(left, 0, sizes.max(), xtol=1e-14)
        np.testing.assert_allclose(projected, np.sign(row) * np.maximum(sizes - off, 0), atol=1e-7)


def test_each_image_is_projected_by_itself():
    """Into a ball of its own, as if it were alone."""
    difference = torch.randn(5, 1, 4, 4, generator=stream("own"))
    radii = torch.tensor([0.0, 0.5, 1.0, 2.0, 100.0])
    for norm in CONVEX:
        found = project(difference, radii, norm)
        for i, radius in enumerate(radii.tolist()):
            assert torch.equal(project(difference[i : i + 1], radius, norm)[0], found[i])
        assert torch.equal(found[4], difference[4])
        assert not found[0].any()


@pytest.mark.parametrize(("norm", "box"), [*product(CONVEX, [None]), ("linf", UNIT), ("l1", UNIT)])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), radius=st.floats(0, 3, width=32))
def test_the_steepest_step_is_the_best_of_all(norm, box, seed, radius):
    """A linear function grows by the most there is; where its gradient is 0 nothing moves."""
    rng = np.random.default_rng(seed)
    slope = rng.normal(size=(3, 5)) * (rng.random((3, 5)) < 0.8)
    images = torch.tensor(rng.random((3, 5)))
    found = steepest(images, torch.tensor(slope), radius, norm, box) - images
    assert (sizes(found, norm) <= radius + 1e-9).all()
    assert not found[torch.tensor(slope) == 0].any() or norm == "l2"
    for image, row, moved in zip(images.numpy(), slope, found.numpy(), strict=True):
        if norm == "l2":
            best = radius * np.linalg.norm(row)
        else:
            best = _best_by_programming(row, image, norm, radius, box)
        assert row @ moved == pytest.approx(best, abs=1e-7)


def test_a_gradient_of_0_has_no_direction():
    """Not even a tiny one: the images stay as they are, in every norm."""
    images = pictures(2)
    for norm, box in product(CONVEX, BOXES):
        assert torch.equal(steepest(images, torch.zeros_like(images), 1.0, norm, box), images)
        assert not unit(torch.zeros_like(images), norm).any()


def test_sizes_and_units():
    """Of every norm; a unit has size 1, however small it was."""
    flat = torch.tensor([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0]]).reshape(2, 1, 3, 1)
    for norm, wanted in {"linf": 4, "l2": 5, "l1": 7, "l0": 2}.items():
        assert size(flat, norm).tolist() == [wanted, 0]
        if norm != "l0":
            for scale in (1e-20, 1.0, 1e15):
                assert size(unit(scale * flat, norm), norm)[0] == pytest.approx(1)


def test_a_ball_that_is_not_convex_is_refused():
    """And a norm that does not exist."""
    images = pictures(2)
    with pytest.raises(UsageError, match=r"unknown norm 'l0': .*\(projection knows these\)"):
        project(images, 1.0, "l0")
    with pytest.raises(UsageError, match=r"unknown norm 'l0': .*\(steepest ascent knows these\)"):
        steepest(images, images, 1.0, "l0", None)
    with pytest.raises(UsageError, match=r"unknown norm 'max': .*\(attacks knows these\)"):
        size(images, "max")


def test_numbers_for_images():
    """One for all or one each; a box that is none clips nothing."""
    images = 3 * pictures(3) - 1
    assert spread(0.5, images).shape == ()
    assert spread(torch.arange(3), images).shape == (3, 1, 1, 1)
    assert into_box(images, None) is images
    assert torch.equal(into_box(images, UNIT), images.clamp(0, 1))


@pytest.mark.parametrize("norm", CONVEX)
@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e-23, 1e20, 1e36])
def test_a_direction_has_length_1_whatever_its_size(norm, scale):
    """In float32 the squares of the small ones are 0, and those of the large ones infinite."""
    directions = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = unit(directions * scale, norm)
    torch.testing.assert_close(sizes(found, norm), torch.ones(6, dtype=torch.double), **CLOSE)
    torch.testing.assert_close(found, unit(directions, norm), rtol=2e-2, atol=1e-6)


CLOSE = {"rtol": 0, "atol": 1e-4, "check_dtype": False}


def test_a_usual_direction_loses_no_digit():
    """It is what the plain quotient is, to the bit."""
    directions = torch.randn(50, 64, generator=torch.Generator().manual_seed(1))
    plain = directions / spread(size(directions, "l2"), directions)
    assert torch.equal(unit(directions, "l2"), plain)
    zero = torch.zeros(2, 5)
    assert torch.equal(unit(zero, "l2"), zero)

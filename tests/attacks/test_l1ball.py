"""The l1 ball within the box, and half-spaces: against closed forms and bisection."""

import pytest
import torch

from attacks import UNIT
from attacks.apgd import Apgd
from attacks.fab import Fab
from attacks.halfspace import reach
from attacks.l1ball import few_steepest, within
from attacks.square import Square
from bench.core.randomness import stream

BOXES = [UNIT, (-0.5, 1.25), None]


def _drawn(name, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=stream(name, *shape)).double()


def _images(count=12, pixels=30):
    return torch.rand(count, pixels, generator=stream("l1", count, pixels)).double()


def _room(images, way, box):
    if box is None:
        return torch.full_like(images, torch.inf)
    return torch.where(way > 0, box[1] - images, images - box[0])


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("radius", [0.0, 0.05, 1.0, 6.0, 100.0])
def test_a_projection_is_the_nearest_point_of_ball_and_box(box, radius):
    """min(max(|d| - t, 0), room) with t by bisection; twice is once; inner points are untouched."""
    images, difference = _images(), _drawn("difference", 12, 30, scale=1.5)
    room = _room(images, difference, box)
    low, high = torch.zeros(12, 1).double(), difference.abs().amax(1, keepdim=True)
    for _ in range(200):
        middle = (low + high) / 2
        kept = torch.minimum((difference.abs() - middle).clamp_min(0), room)
        over = kept.sum(1, keepdim=True) > radius
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    free = torch.minimum(difference.abs(), room)
    kept = torch.minimum((difference.abs() - high).clamp_min(0), room)
    kept = torch.where(free.sum(1, keepdim=True) <= radius, free, kept)
    found = within(images, difference, radius, box)
    torch.testing.assert_close(found, images + difference.sign() * kept, rtol=0, atol=1e-9)
    torch.testing.assert_close(within(images, found - images, radius, box), found)


def test_clipping_what_the_ball_allows_is_farther():
    """The two projections in turn, which attacks had: inside as well, but not the nearest."""
    from attacks.norms import into_box, project

    images, difference = _images(), _drawn("far", 12, 30)
    twice = into_box(images + project(difference, 3.0, "l1"), UNIT)
    exact = within(images, difference, 3.0, UNIT)
    target = images + difference
    assert ((exact - target).norm(dim=1) <= (twice - target).norm(dim=1) + 1e-9).all()
    assert ((exact - target).norm(dim=1) < (twice - target).norm(dim=1) - 1e-3).any()


def test_a_step_is_spread_over_the_largest_slopes_that_have_room():
    """As much on each of them; a pixel at the end of the box is passed over."""
    images = torch.tensor([[0.5, 1.0, 0.5, 0.0, 0.5]])
    slope = torch.tensor([[3.0, 9.0, -2.0, -8.0, 1.0]])
    moved = few_steepest(images, slope, torch.tensor([2.0]), torch.tensor([0.6]), UNIT) - images
    torch.testing.assert_close(moved, torch.tensor([[0.3, 0.0, -0.3, 0.0, 0.0]]))
    free = few_steepest(images, slope, torch.tensor([2.0]), torch.tensor([0.6]), None) - images
    torch.testing.assert_close(free, torch.tensor([[0.0, 0.3, 0.0, -0.3, 0.0]]))
    flat = few_steepest(images, 0 * slope, torch.tensor([2.0]), torch.tensor([0.6]), UNIT)
    assert torch.equal(flat, images)


def _optimum(images, slope, radius):
    """What a linear function gains at most: the steepest pixels to the end of the box first."""
    gains = []
    for image, way in zip(images, slope, strict=True):
        left, gained = radius, 0.0
        for pixel in way.abs().argsort(descending=True).tolist():
            room = 1 - image[pixel] if way[pixel] > 0 else image[pixel]
            spent = min(left, room.item())
            left, gained = left - spent, gained + spent * abs(way[pixel].item())
        gains.append(gained)
    return torch.tensor(gains).double()


@pytest.mark.parametrize(("radius", "share"), [(0.3, 0.99), (2.0, 0.99), (4.0, 0.99), (8.0, 0.96)])
@pytest.mark.parametrize("attack", [Apgd(), Apgd(steps=60, classes=1)])
def test_auto_pgd_finds_the_optimum_of_a_linear_model_in_the_box(radius, share, attack):
    """In l1 it is known: reached to a hundredth, to four where half of the box is filled."""
    images, weights = _images().reshape(12, 1, 5, 6), _drawn("weights", 30)

    def model(x):
        height = x.flatten(1) @ weights
        return torch.stack([-height, height], 1)

    labels, seeds = torch.zeros(12).long(), torch.arange(12)
    found = attack(model, images, labels, radius=radius, norm="l1", seeds=seeds)
    gained = (found - images).flatten(1) @ weights
    best = _optimum(images.flatten(1), weights.expand(12, 30), radius)
    assert (gained <= best * (1 + 1e-6)).all()
    assert (gained >= share * best).all()


def test_square_spends_its_budget_in_the_box():
    """What the box cuts off is not lost: all of the l1 radius is used."""
    images = _images(6, 64).reshape(6, 1, 8, 8).float()
    weights = _drawn("square", 64).float()

    def model(x):
        height = (x.flatten(1) * weights).sum(1)
        return torch.stack([-height, height], 1)

    given = {"radius": 4.0, "norm": "l1", "seeds": torch.arange(6)}
    found = Square(queries=100)(model, images, torch.zeros(6).long(), **given)
    spent = (found - images).abs().flatten(1).sum(1)
    torch.testing.assert_close(spent, torch.full((6,), 4.0), rtol=1e-4, atol=0)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_half_space_is_reached_on_the_shortest_way(norm, box):
    """The gain is what was asked for, or all that the box allows; no shorter way has it: the size
    is the smallest of those that the steepest step needs (bisection).
    """
    from attacks.norms import size, steepest

    images, slope = _images(), _drawn("slope", 12, 30)
    gain = torch.linspace(0, 12, 12).double()
    found = reach(images, slope, gain, norm, box)
    gained = ((found - images) * slope).sum(1)
    room = _room(images, slope, box)
    most = (room * slope.abs()).sum(1)
    torch.testing.assert_close(gained, torch.minimum(gain, most), rtol=1e-9, atol=1e-9)
    if norm == "l2":
        return
    low, high = torch.zeros(12).double(), torch.full((12,), 40.0).double()
    for _ in range(100):
        middle = (low + high) / 2
        there = steepest(images, slope, middle, norm, box)
        enough = ((there - images) * slope).sum(1) >= torch.minimum(gain, most) - 1e-9
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    torch.testing.assert_close(size(found - images, norm), high, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("box", BOXES)
def test_a_half_space_is_reached_by_the_fewest_pixels(box):
    """In l0 one pixel fewer gains too little; those that move go to the end of the box, and without
    one the steepest goes alone.
    """
    images, slope = _images(), _drawn("few", 12, 30)
    gain = torch.linspace(0, 6, 12).double()
    found = reach(images, slope, gain, "l0", box)
    moved, gains = found != images, (found - images) * slope
    if box is None:
        wanted = torch.zeros_like(slope).scatter(1, slope.abs().argmax(1, keepdim=True), 1.0)
        assert torch.equal(moved[1:], wanted[1:].bool())
        torch.testing.assert_close(gains.sum(1), gain)
        return
    room = _room(images, slope, box) * slope.abs()
    torch.testing.assert_close(gains[moved], room[moved])
    assert (gains.sum(1) >= torch.minimum(gain, room.sum(1)) - 1e-9).all()
    most = room.sort(dim=1, descending=True).values.cumsum(1)
    fewer = most.gather(1, (moved.sum(1, keepdim=True) - 2).clamp_min(0))[:, 0]
    assert ((fewer < gain) | (moved.sum(1) < 2)).all()
    assert not moved[0].any()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_fab_finds_the_distance_to_a_plane(norm):
    """Of a linear model in the box it is that of `reach`, for the nearest of three classes."""
    images, weights = _images().reshape(12, 1, 5, 6), _drawn("planes", 30, 4)

    def model(x):
        return x.flatten(1) @ weights

    labels = model(images).argmax(1)
    found = Fab()(model, images, labels, norm=norm, seeds=torch.arange(12))
    from attacks.norms import size

    ways = []
    for offset in range(1, 4):
        other = (labels + offset) % 4
        slope = (weights[:, other] - weights[:, labels]).T
        height = -(images.flatten(1) * slope).sum(1)
        there = reach(images.flatten(1), slope, height, norm, UNIT)
        short = ((there - images.flatten(1)) * slope).sum(1) < height - 1e-9
        ways.append(torch.where(short, torch.inf, size(there - images.flatten(1), norm)))
    nearest = torch.stack(ways).amin(0)
    distance = size(found - images, norm)
    assert (distance >= nearest * (1 - 1e-9)).all()
    assert (distance <= nearest * 1.05).all()

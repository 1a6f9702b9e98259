"""Rotations and shifts: the worst of the grid, by hand."""

from dataclasses import replace

import pytest
import torch

from attacks.engine import Counted
from attacks.objectives import lead
from attacks.spatial import Spatial
from attacks.warps import warped
from bench.core.errors import UsageError
from bench.laws.scenes import scene

SEEDS = torch.arange(100, 116)
SMALL = Spatial(degrees=40.0, pixels=1.0, angles=3, shifts=3)


def test_the_grid_of_the_paper():
    """31 angles, 5 x 5 shifts; no change at all is asked about first, and once."""
    model, images, labels = scene(4)
    grid = list(Spatial().grid())
    assert len(grid) == 31 * 5 * 5 - 1
    assert {angle for angle, _, _ in grid} == {2.0 * n for n in range(-15, 16)}
    assert {down for _, down, _ in grid} == {-3.0, -1.5, 0.0, 1.5, 3.0}
    counted = Counted(model)
    SMALL(counted, images, labels, seeds=SEEDS[:4])
    assert counted.forwards == 27 * len(images)


def test_it_is_the_worst_of_the_grid_for_each_image():
    """By the lead; the numbers are those of the warp that was kept."""
    model, images, labels = scene(8)
    found = SMALL(model, images, labels, seeds=SEEDS[:8])
    every = [warped(images, *(torch.full((8,), n) for n in each)) for each in SMALL.grid()]
    leads = torch.stack([lead(model(x), labels) for x in [images, *every]])
    torch.testing.assert_close(lead(model(found.images), labels), leads.amax(0))
    again = warped(images, found.degrees, found.down, found.across)
    torch.testing.assert_close(again, found.images)
    assert len(set(zip(found.degrees.tolist(), found.down.tolist(), strict=True))) > 1


def test_images_do_not_depend_on_each_other():
    """Nor on stopping early, as far as success goes; those that are misled leave."""
    model, images, labels = scene(16)
    found, counted = SMALL(model, images, labels, seeds=SEEDS), Counted(model)
    alone = SMALL(model, images[3:4], labels[3:4], seeds=SEEDS[3:4])
    torch.testing.assert_close(alone.images, found.images[3:4])
    early = SMALL(counted, images, labels, seeds=SEEDS, stop="first_success")
    bits = [lead(model(x.images), labels) > 0 for x in (found, early)]
    assert torch.equal(*bits)
    assert counted.forwards < 27 * 16
    assert torch.equal(early.images[-1], images[-1])


def test_no_room_is_no_change():
    model, images, labels = scene(4)
    still = Spatial(degrees=0.0, pixels=0.0, angles=1, shifts=1)
    found = still(model, images, labels, seeds=SEEDS[:4])
    assert torch.equal(found.images, images)


@pytest.mark.parametrize("name", ["angles", "shifts"])
def test_even_counts_are_refused(name):
    """No change at all would not be among them."""
    with pytest.raises(UsageError, match=f"{name}: expected an odd number, got 4"):
        Spatial(**{name: 4})


def test_a_random_warp_is_one_of_the_grid_by_the_seed_of_the_image():
    """Alone as in the batch; not the worst of it; other seeds, other warps."""
    model, images, labels = scene(16)
    once = replace(SMALL, tries=1)
    counted = Counted(model)
    found = once(counted, images, labels, seeds=SEEDS)
    assert counted.forwards == 2 * 16
    numbers = [
        *zip(found.degrees.tolist(), found.down.tolist(), found.across.tolist(), strict=True)
    ]
    assert set(numbers) <= {(0.0, 0.0, 0.0), *SMALL.grid()}
    assert len(set(numbers)) > 5
    alone = once(model, images[3:4], labels[3:4], seeds=SEEDS[3:4])
    assert torch.equal(alone.images, found.images[3:4])
    other = once(model, images, labels, seeds=SEEDS + 1)
    assert not torch.equal(other.degrees, found.degrees)
    worst = SMALL(model, images, labels, seeds=SEEDS)
    leads = [lead(model(x.images), labels) for x in (found, worst)]
    assert bool((leads[0] <= leads[1] + 1e-5).all())
    assert bool((leads[0] < leads[1] - 1e-3).any())


def test_more_tries_are_worse_and_those_before_among_them():
    """Of each image the worst of its own draws."""
    model, images, labels = scene(16)
    found = [replace(SMALL, tries=n)(model, images, labels, seeds=SEEDS) for n in (1, 3, 60)]
    leads = [lead(model(x.images), labels) for x in found]
    assert bool((leads[0] <= leads[1] + 1e-5).all())
    assert bool((leads[1] <= leads[2] + 1e-5).all())
    assert bool((leads[1] > leads[0] + 1e-3).any())


def test_no_tries_are_refused():
    with pytest.raises(UsageError, match="tries: expected 1 or more, or None for all, got 0"):
        Spatial(tries=0)

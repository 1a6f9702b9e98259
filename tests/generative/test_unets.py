"""The U-Net of denoisers: what it begins as, which images it takes, and that it hears the time."""

from __future__ import annotations

import pytest
import torch

from bench.core.randomness import stream
from generative.denoisers import TimedUnet
from generative.unets import Unet, patch_side


def randomised(network):
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2, generator=stream("weights", len(weight)))
    return network


def test_it_begins_as_zero():
    """So that a denoiser begins as the best linear one."""
    network = Unet(1, 1, 8, 4, 1)
    x = torch.rand(3, 1, 8, 8, generator=stream("x"))
    assert not network(x, torch.ones(3, 4)).any()


@pytest.mark.parametrize("side", [2, 3, 7, 8, 28, 33])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_takes_images_of_any_side(channels, side):
    network = randomised(TimedUnet(8, (channels, side, side + 2), 0, 1.0))
    x = torch.randn(2, channels * side * (side + 2), generator=stream("x"))
    found = network(x, x, torch.zeros(2))
    assert found.shape == x.shape
    assert (found != 0).float().mean() > 0.9


@pytest.mark.parametrize(
    ("sides", "patch"),
    [((8, 8), 1), ((14, 14), 1), ((27, 28), 1), ((28, 28), 2), ((32, 32), 2), ((64, 64), 4)],
)
def test_large_images_are_seen_in_patches(sides, patch):
    assert patch_side(*sides) == patch


def test_it_hears_the_time_and_each_example_alone():
    network = TimedUnet(8, (1, 8, 8), 0, 1.0)
    network.begin(stream("begin"))
    randomised(network.body)
    x = torch.randn(3, 64, generator=stream("x"))
    times = torch.tensor([0.1, 0.5, 0.9])
    found = network(x, x, times)
    assert not torch.allclose(found, network(x, x, times.flip(0)), atol=1e-3)
    alone = torch.cat([network(x[i : i + 1], x[i : i + 1], times[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)


def test_waves_of_each_value_are_planes_at_its_place():
    """One pixel's waves reach only what a convolution sees of it."""
    network = TimedUnet(8, (1, 28, 28), 2, 1.0)
    randomised(network.body)
    seen = {}
    hook = network.body.register_forward_pre_hook(lambda _, given: seen.update(x=given[0]))
    x = torch.zeros(1, 784)
    x[0, 3 * 28 + 5] = 0.5
    network(torch.zeros_like(x), x, torch.zeros(1))
    hook.remove()
    planes = seen["x"][0]
    assert planes.shape == (5, 28, 28)
    assert not planes[0].any()
    angles = torch.pi / 2 * 0.5 * torch.tensor([1.0, 2.0])
    torch.testing.assert_close(planes[1:3, 3, 5], angles.sin())
    torch.testing.assert_close(planes[3:5, 3, 5], angles.cos())
    others = torch.ones(28, 28, dtype=torch.bool)
    others[3, 5] = False
    assert not planes[1:3, others].any()
    assert (planes[3:5, others] == 1).all()

"""The parts of defences whose claims fell: each by its formula, computed here another way."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, log_softmax

from attacks.classifiers.feature_scattering import Scattering, transport
from attacks.classifiers.k_winners import Winners, Winning
from attacks.classifiers.kernel_features import Kernels
from attacks.classifiers.resizing import Resized
from attacks.classifiers.thermometer import Encoded, Thermometer
from bench.core.randomness import forked

RNG = torch.Generator().manual_seed(1)
IMAGES = torch.rand(5, 2, 6, 6, generator=RNG)


@pytest.mark.parametrize(("kept", "count"), [(0.1, 7), (0.5, 36), (1.0, 72), (0.001, 1)])
def test_winners_are_each_images_largest(kept, count):
    x = torch.randn(5, 2, 6, 6, generator=torch.Generator().manual_seed(3))
    found = Winners(kept)(x)
    for image, left in zip(x.flatten(1), found.flatten(1), strict=True):
        largest = np.argsort(image.numpy())[-count:]
        assert set(left.nonzero()[:, 0].tolist()) == set(largest.tolist())
        assert torch.equal(left[largest], image[largest])


def test_winners_follow_every_hidden_layer():
    layers = [type(layer).__name__ for layer in Winning()((1, 8, 8), 10)]
    assert layers == "Conv2d Winners Conv2d Winners Flatten Linear Winners Linear".split()


def test_a_thermometer_stands_as_high_as_the_pixel():
    """Channel by channel, level by level; it has no slope."""
    image = torch.tensor([0.0, 0.1, 0.5, 0.51, 1.0]).reshape(1, 1, 1, 5)
    found = Thermometer(4)(torch.cat([image, 1 - image], 1))
    assert found.shape == (1, 8, 1, 5)
    assert found[0, :4, 0].sum(0).tolist() == [0, 1, 2, 3, 4]
    assert found[0, 4:, 0].sum(0).tolist() == [4, 4, 2, 2, 0]
    assert found[0, :4, 0, 3].tolist() == [1, 1, 1, 0]
    assert not Thermometer(4)(IMAGES.clone().requires_grad_()).requires_grad
    assert Encoded()((1, 8, 8), 10)(IMAGES[:, :1].repeat(1, 1, 2, 2)[..., :8, :8]).shape == (5, 10)


def placed(side, top, left):
    """The images at a size, at a place on black."""
    black = torch.zeros_like(IMAGES)
    black[:, :, top : top + side, left : left + side] = interpolate(IMAGES, size=(side, side))
    return black


def test_an_image_is_resized_and_placed():
    """As one of the sizes and places there are, the others' black; drawn anew each time."""
    seen, network = set(), Resized(nn.Identity(), 0.5)
    for seed in range(40):
        with forked(seed):
            found = network(IMAGES)
        with forked(seed):
            assert torch.equal(network(IMAGES), found)
        places = [
            (side, top, left)
            for side in range(3, 7)
            for top in range(7 - side)
            for left in range(7 - side)
            if torch.equal(found, placed(side, top, left))
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) > 10
    assert {side for side, _, _ in seen} == {3, 4, 5, 6}
    assert torch.equal(Resized(nn.Identity(), 1.0)(IMAGES), IMAGES)


def test_a_kernel_is_of_a_weighted_distance():
    """One at its centre, exp(-d^2) elsewhere."""
    with forked(2):
        layer = Kernels(4, 3)
        layer.scales.data.uniform_(0.2, 1.5)
        x = torch.randn(6, 4)
    squared = ((x[:, None] - layer.centres) * layer.scales).square().sum(2)
    torch.testing.assert_close(layer(x), torch.exp(-squared))
    torch.testing.assert_close(layer(layer.centres).diagonal(), torch.ones(3))


@pytest.mark.parametrize("seed", range(4))
def test_transport_is_the_cheapest_assignment(seed):
    """Nearly, for the plan is smoothed: over all permutations of five. With logarithms nothing
    underflows where costs are far apart.
    """
    first, second = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(seed)).double()
    lengths = first.norm(dim=1)[:, None] * second.norm(dim=1)
    cost = 1 - first @ second.T / lengths
    cheapest = min(cost[range(5), order].mean() for order in permutations(range(5)))
    assert float(transport(first, second, 2000)) == pytest.approx(float(cheapest), rel=0.02)
    assert float(transport(first, 3 * first.flip(0), 200)) == pytest.approx(0, abs=1e-3)
    assert float(transport(first[:1], second[:1], 5)) == pytest.approx(float(cost[0, 0]))


@pytest.fixture
def network():
    with forked(3):
        return nn.Sequential(nn.Flatten(), nn.Linear(72, 12), nn.Tanh(), nn.Linear(12, 4))


def test_images_are_scattered_within_the_radius(network):
    """One step up the transport cost of the logits, from a drawn start; no label is read."""
    part = Scattering(0.2)
    with forked(4):
        found = part.scattered(network, IMAGES, 0.2)
    with forked(4):
        begun = (IMAGES + 0.2 * (2 * torch.rand_like(IMAGES) - 1)).clip(0, 1)
    assert float((found - IMAGES).abs().max()) <= 0.2 + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    at = begun.clone().requires_grad_()
    transport(network(IMAGES).detach(), network(at), 20).backward()
    wanted = (begun + 0.2 * at.grad.sign()).clip(IMAGES - 0.2, IMAGES + 0.2).clip(0, 1)
    torch.testing.assert_close(found, wanted)
    clean = network(IMAGES)
    assert transport(clean, network(found), 20) > transport(clean, network(begun), 20)


@pytest.mark.parametrize(("progress", "radius"), [(0.0, 0.0), (0.25, 0.1), (0.5, 0.2), (1.0, 0.2)])
def test_scattered_images_are_trained_on_with_smoothed_labels(network, progress, radius):
    labels = torch.tensor([0, 1, 2, 3, 0])
    part = Scattering(0.2, smoothing=0.5)
    with forked(5):
        found = part(network, IMAGES, labels, progress)
    with forked(5):
        scattered = part.scattered(network, IMAGES, radius)
    logs = log_softmax(network(scattered), 1)
    wanted = 0.5 * logs[range(5), labels] + 0.5 * logs.mean(1)
    torch.testing.assert_close(found, -wanted.mean())

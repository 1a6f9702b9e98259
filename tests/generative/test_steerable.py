"""The steerable pyramid: a tight frame of any size, whose bands turn with the image."""

import math

import pytest
import torch

from bench.core.errors import UsageError
from generative.pyramids.steerable import (
    Bands,
    analyse,
    most_levels,
    steered,
    steering,
    synthesise,
)

SIZES = [(28, 28), (32, 32), (64, 64), (96, 128), (33, 50), (37, 41)]


def noise(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_tight_frame(size, count):
    """All the energy, the image back, each of several images and channels by itself."""
    images = noise(2, 2, *size)
    bands = analyse(images, most_levels(size), count)
    wanted = images.square().sum((1, 2, 3))
    torch.testing.assert_close(bands.energy, wanted, rtol=1e-9, atol=0)
    torch.testing.assert_close(synthesise(bands), images, rtol=0, atol=1e-9)
    alone = analyse(images[1:, :1], 1, count).oriented[0]
    torch.testing.assert_close(alone[0, 0], bands.oriented[0][1, 0], rtol=0, atol=1e-12)


def test_bands_are_not_only_a_way_there_and_back():
    """A wave of a level's own frequency is there alone, along the first orientation most."""
    x = torch.arange(64).double()
    for cycles, level in ((2, 3), (4, 2), (8, 1), (16, 0)):
        wave = torch.cos(2 * math.pi * cycles * x / 64).expand(1, 1, 64, 64).clone()
        bands = analyse(wave, 4, 4)
        held = [float(one.square().sum()) for one in bands.oriented]
        wanted = [float(wave.square().sum()) * (k == level) for k in range(4)]
        assert held == pytest.approx(wanted, abs=1e-9)
        at = bands.oriented[level].square().sum((0, 1, 3, 4))
        assert int(at.argmax()) == 0
    flat = analyse(torch.full((1, 1, 32, 32), 2.0, dtype=torch.float64), 2, 4)
    assert float(flat.low.square().sum()) == pytest.approx(4 * 32**2)
    assert float(flat.high.abs().max()) < 1e-9


@pytest.mark.parametrize(("count", "ratio"), [(4, 6.332), (2, 3.666)])
def test_coefficients(count, ratio):
    """1 + 4 K / 3 a pixel."""
    bands = analyse(noise(1, 1, 256, 256), 6, count)
    every = (bands.high, *bands.oriented, bands.low)
    assert sum(band.numel() for band in every) / 256**2 == pytest.approx(ratio, abs=1e-3)
    assert [tuple(b.shape[-2:]) for b in bands.oriented] == [(256 >> k,) * 2 for k in range(6)]


def _turned(images):
    """By 90 degrees about the first pixel, images going round: x'[i, j] = x[-j, i]."""
    return images.flip(-2).roll(1, -2).transpose(-2, -1)


@pytest.mark.parametrize(("side", "count"), [(32, 2), (33, 2), (48, 4), (37, 4)])
def test_a_turn_permutes_the_bands(side, count):
    """By half of the orientations, the sign turning once round where the order is odd."""
    image = noise(1, 1, side, side)
    levels = 1 if side % 2 else 2
    plain, turned = (analyse(x, levels, count) for x in (image, _turned(image)))
    torch.testing.assert_close(turned.high, _turned(plain.high), rtol=0, atol=1e-9)
    torch.testing.assert_close(turned.low, _turned(plain.low), rtol=0, atol=1e-9)
    for before, after in zip(plain.oriented, turned.oriented, strict=True):
        for k in range(count):
            wanted = _turned(before[:, :, (k + count // 2) % count])
            gap = min(float((after[:, :, k] - s * wanted).abs().max()) for s in (1, -1))
            assert gap < 1e-9
            assert float(wanted.abs().max()) > 0.1


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.3, 2.9])
def test_steering_two_bands(angle):
    """cos and sin; which is what the image turned by that angle would have: a wave along it is in
    the steered band alone, and not in the one across.
    """
    assert steering(2, angle).tolist() == pytest.approx([math.cos(angle), math.sin(angle)])
    y, x = (
        torch.arange(64).double()[shape] for shape in ((slice(None), None), (None, slice(None)))
    )
    u, v = 9 * math.cos(angle), 9 * math.sin(angle)
    u, v = round(u), round(v)
    true = math.atan2(v, u)
    wave = torch.cos(2 * math.pi * (u * x + v * y) / 64)[None, None]
    level = analyse(wave, 2, 2).oriented[1]
    along, across = (steered(level, true + turn) for turn in (0, math.pi / 2))
    assert float(across.abs().max()) < 1e-9
    torch.testing.assert_close(along.square().sum(), level.square().sum(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_steering_more_bands(count):
    """At its own angles a band is itself; at any other, the band of a set that is turned by it."""
    level = analyse(noise(1, 1, 32, 32), 1, count).oriented[0]
    for k in range(count):
        own = steered(level, math.pi * k / count)
        torch.testing.assert_close(own, level[:, :, k], rtol=0, atol=1e-9)
    order = count - 1
    for angle in (0.2, 1.1):
        theta = torch.linspace(0, 6, 50, dtype=torch.float64)
        whole = sum(
            w * torch.cos(theta - math.pi * k / count) ** order
            for k, w in enumerate(steering(count, angle).tolist())
        )
        torch.testing.assert_close(whole, torch.cos(theta - angle) ** order, rtol=0, atol=1e-9)


def test_what_is_refused():
    assert most_levels((28, 64)) == 2
    with pytest.raises(
        UsageError, match="expected 0 to 2 for a steerable pyramid of 28 x 64 pixels"
    ):
        analyse(noise(1, 1, 28, 64), 3)
    with pytest.raises(UsageError, match="orientations: expected at least 1, got 0"):
        analyse(noise(1, 1, 28, 64), 2, 0)
    with pytest.raises(UsageError, match=r"expected floats \[n, c, h, w\], got float64 \[28, 64\]"):
        analyse(noise(28, 64), 1)
    nothing = analyse(noise(1, 1, 9, 9), 0)
    assert isinstance(nothing, Bands)
    assert nothing.oriented == []

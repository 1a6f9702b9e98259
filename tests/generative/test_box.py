"""The pyramid of boxes: means of blocks, repeated pixels, and what is left between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import UsageError
from bench.datasets.digits import mnist5k
from generative.pyramids import PYRAMIDS, Asked
from generative.pyramids.box import doubled, halved, halvings

BOX = PYRAMIDS["box"].part
SIDES = st.integers(2, 13)


def images(height, width, seed=0, n=3, channels=2):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, height, width, generator=rng, dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(SIDES, SIDES)
def test_a_pixel_is_the_mean_of_its_block(height, width):
    """By hand, of odd sides' last blocks too."""
    x = images(height, width)
    found = halved(x)
    for row, column in np.ndindex(-(-height // 2), -(-width // 2)):
        block = x[..., 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        torch.testing.assert_close(found[..., row, column], block.mean((2, 3)), rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SIDES, SIDES)
def test_a_block_is_its_pixel(height, width):
    """Repeated pixels have the pixels for their means, and are those of numpy."""
    coarse = halved(images(height, width))
    fine = doubled(coarse, (height, width))
    whole = coarse.numpy().repeat(2, 2).repeat(2, 3)[..., :height, :width]
    np.testing.assert_array_equal(fine.numpy(), whole)
    torch.testing.assert_close(halved(fine), coarse, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SIDES, SIDES)
def test_what_a_level_adds_has_a_mean_of_0_over_every_block(height, width):
    x = images(height, width)
    (fine,), _ = BOX.bands(x, Asked(levels=1))
    assert float(halved(fine).abs().max()) < 1e-15


@pytest.mark.parametrize(("side", "levels"), [(28, 2), (28, 4), (32, 2), (8, 1), (27, 3)])
def test_an_image_comes_back_from_its_levels(side, levels):
    x = images(side, side)
    bands = BOX.bands(x, Asked(levels=levels))
    assert [band.shape[2] for (band,) in bands] == [-(-side // 2**at) for at in range(levels + 1)]
    torch.testing.assert_close(BOX.images(bands, Asked()), x, rtol=0, atol=1e-14)


def test_without_what_levels_add_an_image_is_blurred():
    """Every pixel the mean of its block of sixteen."""
    x = images(8, 12)
    *fine, coarse = BOX.bands(x, Asked(levels=2))
    blurred = BOX.images([*([torch.zeros_like(b)] for (b,) in fine), coarse], Asked())
    means = x.unflatten(3, (3, 4)).unflatten(2, (2, 4)).mean((3, 5))
    torch.testing.assert_close(blurred, means.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_levels_share_out_the_variance_of_digits():
    """The squares of all levels, each weighed by how many pixels one of its own stands for, are
    those of the image: Haar wavelets by another name.
    """
    x = torch.tensor(mnist5k().held_images[:200])[:, None].double() / 255
    x = x - x.mean()
    bands = BOX.bands(x, Asked(levels=2))
    held = [float(band.square().mean()) for (band,) in bands]
    assert sum(held) == pytest.approx(float(x.square().mean()), rel=1e-12)


@pytest.mark.parametrize(
    ("size", "least", "times"),
    [
        ((28, 28), 4, 3),
        ((8, 8), 4, 1),
        ((32, 32), 4, 3),
        ((7, 7), 4, 1),
        ((6, 9), 4, 0),
        ((1, 5), 1, 0),
        ((28, 28), 1, 5),
        ((2, 2), 1, 1),
    ],
)
def test_how_often_images_can_be_halved(size, least, times):
    assert halvings(size, least) == times


def test_what_can_not_be_halved_is_refused():
    message = "sides of at least 2 pixels to halve, got 1 x 4: ask for fewer levels"
    with pytest.raises(UsageError, match=message):
        halved(torch.zeros(1, 1, 1, 4))
    with pytest.raises(UsageError, match=r"levels: expected 0 to 3 .* 8 x 8 pixels, got 4"):
        BOX.bands(torch.zeros(1, 1, 8, 8), Asked(levels=4))


def test_a_size_that_is_not_halved_to_the_coarse_one_is_refused():
    with pytest.raises(UsageError, match="a size that is halved to 4 x 4, got 9 x 8"):
        doubled(torch.zeros(1, 1, 4, 4), (9, 8))

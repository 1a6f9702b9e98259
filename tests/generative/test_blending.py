"""Blends: what is linear, what is exact, and how wide a seam each level has."""

from itertools import pairwise

import pytest
import torch
from torch.nn.functional import pad

from bench.core.errors import UsageError
from generative.pyramids import BLENDS
from generative.pyramids.laplacian import collapse, gaussian, laplacian

NAMES = ["cut", "feather", "multiband"]


def noise(seed, *shape):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def blend(name, one, other, mask, levels=3):
    return BLENDS[name].part.blend(one, other, mask, levels)


def step(width, at, height=33):
    mask = torch.zeros(1, 1, height, width, dtype=torch.float64)
    mask[..., :at] = 1
    return mask


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(33, 41), (24, 18)])
def test_the_laws_of_a_blend(name, size):
    a, b, c = (noise(k, 2, 3, *size) for k in range(3))
    mask = step(size[1], size[1] // 2, size[0])
    close = {"rtol": 0, "atol": 1e-9}
    torch.testing.assert_close(blend(name, a, a, mask), a, **close)
    torch.testing.assert_close(blend(name, a, b, torch.ones_like(mask)), a, **close)
    torch.testing.assert_close(blend(name, a, b, torch.zeros_like(mask)), b, **close)
    both = blend(name, a, b, mask) + blend(name, a, b, 1 - mask)
    torch.testing.assert_close(both, a + b, **close)
    swapped = blend(name, a, b, mask) + blend(name, b, a, mask)
    torch.testing.assert_close(swapped, a + b, **close)
    mixed = blend(name, 2 * a - c, 2 * b - 3 * c, mask)
    wanted = 2 * blend(name, a, b, mask) - blend(name, c, 3 * c, mask)
    torch.testing.assert_close(mixed, wanted, **close)


@pytest.mark.parametrize("name", NAMES)
def test_no_level_is_a_cut(name):
    a, b = noise(0, 1, 1, 20, 20), noise(1, 1, 1, 20, 20)
    found = blend(name, a, b, step(20, 7, 20), levels=0)
    assert torch.equal(found[..., :7], a[..., :7])
    torch.testing.assert_close(found[..., 7:], b[..., 7:], rtol=0, atol=1e-15)


def test_constants_are_joined_by_the_collapsed_mask():
    """b + (a - b) u, with u what is left of the mask's Gaussian pyramid: its coarsest level."""
    mask = step(65, 30, 65)
    a, b = torch.full_like(mask, 0.9), torch.full_like(mask, 0.2)
    u = collapse([*(torch.zeros_like(g) for g in gaussian(mask, 3)[:-1]), gaussian(mask, 3)[-1]])
    found = blend("multiband", a, b, mask)
    torch.testing.assert_close(found, 0.2 + 0.7 * u, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["feather", "multiband"])
def test_seams_widen_with_the_levels(name):
    """Twice as wide at each: the columns between 5 % and 95 %."""
    mask = step(257, 128, 33)
    a, b = torch.ones_like(mask), torch.zeros_like(mask)
    widths = []
    for levels in (1, 2, 3, 4):
        row = blend(name, a, b, mask, levels)[0, 0, 16]
        widths.append(int(((row > 0.05) & (row < 0.95)).sum()))
    for less, more in pairwise(widths):
        assert more / less == pytest.approx(2, rel=0.35)


def test_feathering_by_hand():
    """The mean of the mask over 2^levels columns on either side and the one between."""
    mask = step(30, 15, 9)
    row = blend("feather", torch.ones_like(mask), torch.zeros_like(mask), mask, 2)[0, 0, 4]
    wanted = [float(mask[0, 0, 0, max(0, i - 4) : i + 5].mean()) for i in range(4, 26)]
    assert row[4:26].tolist() == pytest.approx(wanted)


def test_multiband_by_hand():
    """Each level with the mask's own, no other."""
    a, b, mask = noise(0, 1, 2, 17, 23), noise(1, 1, 2, 17, 23), noise(2, 1, 1, 17, 23)
    parts = zip(laplacian(a, 2), laplacian(b, 2), gaussian(mask, 2), strict=True)
    wanted = collapse([m * x + (1 - m) * y for x, y, m in parts])
    torch.testing.assert_close(blend("multiband", a, b, mask, 2), wanted, rtol=0, atol=1e-12)


def test_fine_bands_are_mixed_over_a_narrow_seam():
    """A pattern of one pixel's width is cut sharply, where its mean is not."""
    checks = pad(torch.ones(1, 1, 1, 1), [0, 1]).repeat(1, 1, 33, 65).double()[..., :129]
    flat = torch.full_like(checks, 0.5)
    found = blend("multiband", checks, flat, step(129, 64, 33)[..., :129], 4)
    apart = (found[..., 1:] - found[..., :-1]).abs()[0, 0, 16]
    assert float(apart[:56].min()) > 0.9
    assert float(apart[72:].max()) < 0.05


def test_the_truth_row_is_the_first_image():
    a, b = noise(0, 1, 1, 8, 8), noise(1, 1, 1, 8, 8)
    assert torch.equal(blend("unsplit", a, b, step(8, 4, 8)), a)
    assert [e.name for e in BLENDS.entries() if e.facts.truth] == ["unsplit"]


def test_what_is_refused():
    a = noise(0, 1, 1, 8, 8)
    with pytest.raises(
        UsageError, match="levels: expected 0 to 2 for images of 8 x 8 pixels, got 3"
    ):
        blend("multiband", a, a, step(8, 4, 8), 3)
    with pytest.raises(UsageError, match="levels: expected 0 or more, got -1"):
        blend("feather", a, a, step(8, 4, 8), -1)

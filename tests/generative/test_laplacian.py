"""Gaussian and Laplacian pyramids: exact reconstruction proves nothing, so constants, ramps,
widths, noise, sizes and every border are held against closed forms and matrices made by hand.
"""

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from generative.pyramids.borders import BORDERS, padded
from generative.pyramids.kernel import equivalent, noise_gain, open_loop_bound, variance, weights
from generative.pyramids.laplacian import (
    Filtering,
    collapse,
    expand,
    gaussian,
    laplacian,
    most_levels,
    reduce,
)

KERNELS = (0.3, 0.4, 0.5, 0.6)
SIZES = [(257, 257), (37, 50), (16, 9), (3, 3)]


def noise(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def ramp(height, width):
    """Rising along both sides."""
    y, x = torch.arange(height).double(), torch.arange(width).double()
    return (0.7 * y[:, None] - 1.3 * x + 5)[None, None]


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("reflect1", [3, 2, 1, 2, 3, 4, 3, 2]),
        ("reflect2", [2, 1, 1, 2, 3, 4, 4, 3]),
        ("repeat", [1, 1, 1, 2, 3, 4, 4, 4]),
        ("zero", [0, 0, 1, 2, 3, 4, 0, 0]),
        ("circular", [3, 4, 1, 2, 3, 4, 1, 2]),
        ("extend", [-1, 0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_borders_by_hand(rule, wanted):
    row = torch.tensor([1.0, 2, 3, 4]).reshape(1, 1, 1, 4)
    assert padded(row, 2, rule, 3).flatten().tolist() == wanted
    assert padded(row.transpose(2, 3), 2, rule, 2).flatten().tolist() == wanted


def test_every_border_is_a_rule():
    """And bends are turned over: 2 x_0 - x_i."""
    row = torch.tensor([1.0, 4, 9]).reshape(1, 1, 1, 3)
    assert padded(row, 2, "extend", 3).flatten().tolist() == [-7, -2, 1, 4, 9, 14, 17]
    assert BORDERS == ("reflect1", "reflect2", "repeat", "zero", "circular", "extend")
    with pytest.raises(UsageError, match="unknown border 'reflect'"):
        padded(row, 2, "reflect", 3)


@pytest.mark.parametrize("a", KERNELS)
def test_the_kernel(a):
    """Of sum 1, half of it on even and half on odd taps; its equivalents of sum 1, and as wide as
    the closed form says.
    """
    taps = weights(a)
    assert taps.tolist() == pytest.approx([0.25 - a / 2, 0.25, a, 0.25, 0.25 - a / 2])
    assert float(taps[::2].sum()) == pytest.approx(0.5, abs=1e-15)
    assert float(taps[1::2].sum()) == pytest.approx(0.5, abs=1e-15)
    for level in range(6):
        whole = equivalent(a, level)
        at = torch.arange(len(whole)) - len(whole) // 2
        assert len(whole) == 2 ** (level + 2) - 3
        assert float(whole.sum()) == pytest.approx(1, abs=1e-12)
        assert float((at.square() * whole).sum()) == pytest.approx(variance(a, level), rel=1e-12)


def test_widths_that_are_known():
    """Standard deviations of level 4."""
    assert variance(0.4, 4) ** 0.5 == pytest.approx(8.746, abs=5e-4)
    assert variance(0.6, 4) ** 0.5 == pytest.approx(2.915, abs=5e-4)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_equivalent_kernel_is_what_reducing_does(level):
    """To one pixel in the middle of the image."""
    side = 65
    picture = torch.zeros(1, 1, side, side, dtype=torch.float64)
    picture[..., 32, :] = 1
    found = gaussian(noise(1, 1, side, side), level, Filtering(0.3))[level]
    taps = equivalent(0.3, level)
    reach = len(taps) // 2
    window = noise(1, 1, side, side)[0, 0, 32 - reach : 33 + reach, 32 - reach : 33 + reach]
    wanted = float(taps @ window @ taps)
    assert float(found[0, 0, 32 >> level, 32 >> level]) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("a", "gains"),
    [
        (0.4, (0.336, 0.274, 0.261, 0.258)),
        (0.6, (0.960, 0.933, 0.922, 0.918)),
        (0.3, (0.221, 0.182, 0.174, 0.173)),
        (0.5, (0.563, 0.473, 0.451, 0.446)),
    ],
)
def test_noise_gains(a, gains):
    """Known ones; and the squares of what single pixels are expanded to, summed in the middle."""
    assert [noise_gain(a, level) for level in (1, 2, 3, 4)] == pytest.approx(gains, abs=1e-3)
    point = torch.zeros(1, 1, 17, 17, dtype=torch.float64)
    point[..., 8, 8] = 1
    for level, side in enumerate((33, 65, 129), 1):
        point = expand(point, (side, side), Filtering(a))
        assert float(point.square().sum()) / 4**level == pytest.approx(noise_gain(a, level))


def test_the_open_loop_bound():
    assert open_loop_bound(0.4, 5, 12**0.5) == pytest.approx(2.39, abs=5e-3)
    assert open_loop_bound(0.6, 5, 12**0.5) == pytest.approx(5.65, abs=5e-3)
    assert open_loop_bound(0.6, 0, 6) == 3


def _matrix(n, a, rule):
    """REDUCE along a side of n as a matrix, a column for each pixel, pixel by pixel."""
    w = [0.25 - a / 2, 0.25, a, 0.25, 0.25 - a / 2]
    found = np.zeros((-(-n // 2), n))
    for i in range(len(found)):
        for m in range(-2, 3):
            _put(found[i], 2 * i + m, w[m + 2], n, rule)
    return found


def _expanding(n, a, rule):
    """EXPAND to a side of n: 2 w(i - 2 k) of coarse pixel k, the coarse grid being continued."""
    w = [0.25 - a / 2, 0.25, a, 0.25, 0.25 - a / 2]
    coarse = -(-n // 2)
    found = np.zeros((n, coarse))
    for i in range(n):
        for k in range(-1, coarse + 1):
            if abs(i - 2 * k) <= 2:
                _put(found[i], k, 2 * w[i - 2 * k + 2], coarse, rule)
    return found


def _put(row, at, weight, n, rule):
    """Add a weight to the pixel that one beyond the edge stands for."""
    if 0 <= at < n:
        row[at] += weight
    elif rule == "repeat":
        row[0 if at < 0 else n - 1] += weight
    elif rule == "circular":
        row[at % n] += weight
    elif rule == "reflect2":
        row[-1 - at if at < 0 else 2 * n - 1 - at] += weight
    elif rule in ("reflect1", "extend"):
        edge = 0 if at < 0 else n - 1
        sign = 1 if rule == "reflect1" else -1
        row[2 * edge - at] += sign * weight
        row[edge] += 2 * weight * (rule == "extend")


@pytest.mark.parametrize("rule", BORDERS)
@pytest.mark.parametrize("size", [(11, 8), (9, 9), (6, 7)])
def test_reduce_and_expand_are_these_matrices(rule, size):
    image, by = noise(2, 3, *size), Filtering(0.35, rule)
    (rows, columns), (up, across) = (
        [make(n, 0.35, rule) for n in size] for make in (_matrix, _expanding)
    )
    small = rows @ image.numpy() @ columns.T
    np.testing.assert_allclose(reduce(image, by).numpy(), small, atol=1e-12)
    large = up @ small @ across.T
    found = expand(torch.from_numpy(small), size, by).numpy()
    np.testing.assert_allclose(found, large, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_a_constant_is_in_the_coarsest_level_alone(size):
    """But where the border is black."""
    flat = torch.full((1, 2, *size), 3.5, dtype=torch.float64)
    depth = min(5, most_levels(size))
    for rule in BORDERS:
        *fine, top = laplacian(flat, depth, Filtering(0.4, rule))
        worst = max(float(level.abs().max()) for level in fine)
        if rule == "zero":
            assert worst > 0.1
        else:
            assert worst < 1e-9
            assert float((top - 3.5).abs().max()) < 1e-9


@pytest.mark.parametrize("size", [(257, 257), (37, 50)])
def test_a_ramp_is_in_the_coarsest_level_alone(size):
    """Inside of every border; up to the edge where the slope goes on beyond it, and there alone."""
    for rule in BORDERS:
        level = laplacian(ramp(*size), 1, Filtering(0.4, rule))[0]
        assert float(level[..., 4:-4, 4:-4].abs().max()) < 1e-9
        edge = float(level.abs().max())
        assert edge < 1e-9 if rule == "extend" else edge > 0.1
    every = laplacian(ramp(*size), 3, Filtering(0.4, "extend"))
    assert max(float(level.abs().max()) for level in every[:-1]) < 1e-9


@pytest.mark.parametrize("rule", BORDERS)
@pytest.mark.parametrize("size", SIZES)
def test_images_come_back(rule, size):
    """Whatever the kernel: this is necessary, and proves nothing."""
    image, by = noise(1, 1, *size), Filtering(0.7, rule)
    bands = laplacian(image, most_levels(size), by)
    torch.testing.assert_close(collapse(bands, by), image, rtol=0, atol=1e-9)


def test_sizes_and_counts():
    """M 2^N + 1 closes under halving; a third of the coefficients is above the pixels."""
    levels = gaussian(noise(1, 1, 257, 257), 5)
    assert [level.shape[-1] for level in levels] == [257, 129, 65, 33, 17, 9]
    assert [level.shape[-1] for level in gaussian(noise(1, 1, 50, 50), 3)] == [50, 25, 13, 7]
    count = sum(level.numel() for level in laplacian(noise(1, 1, 256, 256), 7))
    assert count / 256**2 == pytest.approx(4 / 3, abs=1e-4)
    assert (most_levels((257, 300)), most_levels((3, 9)), most_levels((2, 9))) == (8, 1, 0)


def test_the_mean_is_kept():
    """DC gain 1 of REDUCE and of EXPAND, where images go round."""
    image, by = noise(1, 1, 64, 32) + 2, Filtering(0.6, "circular")
    small = reduce(image, by)
    assert float(small.mean()) == pytest.approx(float(image.mean()), abs=1e-12)
    assert float(expand(small, (64, 32), by).mean()) == pytest.approx(float(image.mean()))


def test_batches_are_images():
    """One by one or together, each channel alone; what came is as it was."""
    images = noise(3, 2, 21, 18)
    before = images.clone()
    whole = laplacian(images, 2)
    for n in range(3):
        for c in range(2):
            alone = laplacian(images[n : n + 1, c : c + 1], 2)
            for some, every in zip(alone, whole, strict=True):
                torch.testing.assert_close(some[0, 0], every[n, c], rtol=0, atol=1e-12)
    assert torch.equal(images, before)
    assert laplacian(images.float(), 2)[0].dtype == torch.float32


def test_what_is_refused():
    images = noise(1, 1, 9, 12)
    with pytest.raises(
        UsageError, match="levels: expected 0 to 3 for images of 9 x 12 pixels, got 4"
    ):
        laplacian(images, 4)
    with pytest.raises(UsageError, match=r"levels: expected 0 to 3 .* got -1"):
        gaussian(images, -1)
    with pytest.raises(UsageError, match="sides of at least 3 pixels to reduce, got 2 x 5"):
        reduce(noise(1, 1, 2, 5))
    with pytest.raises(UsageError, match="a size that reduces to 9 x 12, got 19 x 24"):
        expand(images, (19, 24))
    with pytest.raises(
        UsageError, match=r"expected floats \[n, c, h, w\], got uint8 \[1, 1, 9, 9\]"
    ):
        reduce(torch.zeros(1, 1, 9, 9, dtype=torch.uint8))
    with pytest.raises(UsageError, match=r"got float64 \[9, 12\]"):
        laplacian(images[0, 0], 1)
    with pytest.raises(UsageError, match=r"`a`: expected a finite number, such as 0\.4, got nan"):
        weights(float("nan"))

"""Codes of images: the error of a closed loop is that of one level, an open loop adds up all."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn
from sklearn.datasets import load_sample_image

from bench.core.errors import UsageError
from generative.pyramids import CODERS, Asked
from generative.pyramids.coding import closed_loop, open_loop
from generative.pyramids.kernel import noise_gain, open_loop_bound
from generative.pyramids.laplacian import Filtering, expand, laplacian
from generative.pyramids.quantising import restored, rounded, to_bytes
from metrics.coding import entropy

LEVELS, PEAK = 5, 255**2


@pytest.fixture(scope="module")
def china():
    """A grey crop of the photo that ships with scikit-learn, float64 [1, 1, 257, 257]."""
    grey = np.asarray(Image.fromarray(load_sample_image("china.jpg")).convert("L"))
    return torch.tensor(grey[:257, :257]).double()[None, None]


def code(name, images, **asked):
    return CODERS[name].part.code(images, Asked(**asked))


def decibels(one, other):
    return float(10 * torch.log10(PEAK / (one - other).square().mean()))


def rate(coded, images):
    held = sum(one.shape[1] * entropy(one[0].numpy()) for one in coded.symbols)
    return held / images[0].numel()


def test_entropy_and_variance_are_lowest_at_six_tenths(china):
    """Of the finest level, rounded to whole numbers."""
    levels = [laplacian(china, LEVELS, Filtering(a))[0] for a in (0.3, 0.4, 0.5, 0.6, 0.7)]
    bits = [entropy(level.round().long().numpy().ravel()) for level in levels]
    assert bits == pytest.approx([5.12, 5.00, 4.81, 4.70, 4.97], abs=0.03)
    spread = [float(level.var()) for level in levels]
    assert spread == pytest.approx([400, 356, 302, 266, 358], rel=0.04)
    assert entropy(china.long().numpy().ravel()) == pytest.approx(6.92, abs=0.01)


@pytest.mark.parametrize(
    ("a", "step", "opened", "closed"),
    [
        (0.4, 4, (4.23, 44.3), (4.27, 47.7)),
        (0.4, 8, (3.28, 38.6), (3.30, 42.2)),
        (0.4, 16, (2.31, 32.7), (2.34, 36.1)),
        (0.4, 32, (1.40, 26.0), (1.49, 29.6)),
        (0.6, 4, (4.04, 40.8), (4.14, 47.6)),
        (0.6, 8, (3.08, 35.2), (3.17, 41.9)),
        (0.6, 16, (2.12, 28.8), (2.26, 36.0)),
        (0.6, 32, (1.24, 23.0), (1.52, 29.4)),
    ],
)
def test_rates_and_distortions(china, a, step, opened, closed):
    """Bits and decibels, before anything is clipped or rounded to bytes."""
    for coded, (bits, noise) in (
        (open_loop(china, LEVELS, step, Filtering(a)), opened),
        (closed_loop(china, LEVELS, step, Filtering(a)), closed),
    ):
        assert rate(coded, china) == pytest.approx(bits, abs=0.02)
        assert decibels(coded.decoded, china) == pytest.approx(noise, abs=0.6)


@pytest.mark.parametrize("a", [0.3, 0.4, 0.5, 0.6])
@pytest.mark.parametrize("step", [4, 8])
def test_the_closed_loop_has_the_error_of_one_quantiser(china, a, step):
    """No pixel is off by more than half a step, and the square is a twelfth of the step's at most;
    the open loop stays below its bound, and above the error of level 0.
    """
    coded = closed_loop(china, LEVELS, step, Filtering(a))
    assert float((coded.decoded - china).abs().max()) <= step / 2 + 1e-9
    assert decibels(coded.decoded, china) >= 10 * np.log10(12 * PEAK / step**2)
    one = open_loop(china, LEVELS, step, Filtering(a))
    error = float((one.decoded - china).square().mean())
    assert step**2 / 12 < error < open_loop_bound(a, LEVELS, step)
    assert 10 * np.log10(12 * PEAK / 4**2) == pytest.approx(46.9, abs=0.05)


def test_errors_of_all_levels_add_up(china):
    """What the quantisers left over, expanded level by level, is the error of an open loop."""
    by, step = Filtering(0.6), 16
    bands = laplacian(china, LEVELS, by)
    coded = open_loop(china, LEVELS, step, by)
    left = torch.zeros_like(bands[-1])
    for band in reversed(bands):
        if left.shape != band.shape:
            left = expand(left, band.shape[2:], by)
        left = left + torch.round(band / step) * step - band
    torch.testing.assert_close(coded.decoded - china, left, rtol=0, atol=1e-9)
    assert [one.shape[1] for one in coded.symbols] == [b.shape[2] ** 2 for b in bands]


def test_white_noise_of_the_levels_is_multiplied_as_the_gains_say():
    """Random images of many values: quantisers' errors are uniform, and the bound is met."""
    rng = torch.Generator().manual_seed(0)
    images = 400 * torch.randn(4, 1, 65, 65, dtype=torch.float64, generator=rng)
    for a in (0.4, 0.6):
        coded = open_loop(images, 3, 8, Filtering(a))
        wanted = 1 + sum(noise_gain(a, level) for level in (1, 2, 3))
        found = float((coded.decoded - images).square().mean()) / (8**2 / 12)
        assert found == pytest.approx(wanted, rel=0.06)


def test_closed_symbols_say_what_the_decoder_lacked(china):
    """The decoder of the coarser levels, run by hand on what was sent, gives the image."""
    by, step = Filtering(0.5), 8
    coded = closed_loop(china, 2, step, by)
    sizes = [257, 129, 65]
    sent = [s.reshape(1, 1, n, n).double() for s, n in zip(coded.symbols, sizes, strict=True)]
    middle = expand(sent[2] * step, (129, 129), by) + sent[1] * step
    whole = expand(middle, (257, 257), by) + sent[0] * step
    torch.testing.assert_close(coded.decoded, whole, rtol=0, atol=1e-9)


def test_cosines_are_scipys():
    """Symbols by frequency, blocks in order; odd sizes come back at their own size."""
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (16, 24))
    coded = code("dct8", torch.tensor(image)[None, None], step=4.0)
    assert len(coded.symbols) == 64
    for at, (y, x) in enumerate((y, x) for y in (0, 8) for x in (0, 8, 16)):
        wanted = np.round(dctn(image[y : y + 8, x : x + 8], norm="ortho") / 4).ravel()
        assert [int(one[0, at]) for one in coded.symbols] == wanted.tolist()
    odd = torch.tensor(image[:13, :19])[None, None]
    fine = code("dct8", odd, step=1e-6)
    torch.testing.assert_close(fine.decoded, odd, rtol=0, atol=1e-5)
    coarse = code("dct8", odd, step=1.0)
    assert float((coarse.decoded - odd).square().mean()) == pytest.approx(1 / 12, rel=0.2)


def test_jpeg_is_pillows(china):
    """The bytes of the file, and what they open as; each image by its own."""
    pair = torch.cat([china, china.flip(3)])
    coded = code("jpeg", pair, quality=50)
    for n, image in enumerate(pair[:, 0].byte().numpy()):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=50, optimize=True)
        assert int(coded.bits[n]) == 8 * len(file.getvalue())
        np.testing.assert_array_equal(coded.decoded[n, 0].numpy(), np.asarray(Image.open(file)))
    assert coded.symbols == ()
    assert code("jpeg", china, quality=90).bits[0] > coded.bits[0]


def test_bytes_are_clipped_before_they_are_rounded():
    """White that is overshot stays white."""
    values = torch.tensor([-0.4, -300, 255.4, 256, 300, 511, 17.4, 17.6]).double()
    assert to_bytes(values).tolist() == [0, 0, 255, 255, 255, 255, 17, 18]


def test_rounding():
    values = torch.tensor([-5.0, -3.9, 0.0, 1.9, 2.1, 6.2]).double()
    assert rounded(values, 4).tolist() == [-1, -1, 0, 0, 1, 2]
    assert restored(rounded(values, 4), 4, values).tolist() == [-4, -4, 0, 0, 4, 8]
    for step in (0, -1, float("nan")):
        with pytest.raises(UsageError, match="`step`: expected a number above 0, such as 8, got"):
            rounded(values, step)

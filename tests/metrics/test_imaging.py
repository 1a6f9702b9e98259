"""Bits, decibels, seams and shares of energy, by hand."""

from math import log2, log10

import numpy as np
import pytest

from bench.core.errors import UsageError
from metrics import METRICS
from metrics.coding import Sent, entropy
from metrics.seams import Joined

BLACK = np.zeros((2, 1, 4, 4), dtype=np.uint8)


def of(name, real, fake):
    return METRICS[name].part(real, fake)


def test_entropy_by_hand():
    assert entropy(np.array([7, 7, 7])) == 0
    assert entropy(np.array([-1, 0, 1, 2])) == 2
    assert entropy(np.array([0, 0, 0, 5])) == pytest.approx(-0.75 * log2(0.75) + 0.5)
    assert str(entropy(np.array([3]))) == "0.0"


def test_each_level_has_a_code_of_its_own():
    """Two levels of one symbol each cost nothing, though they are two symbols together; and each
    image has a table of its own.
    """
    levels = [np.zeros((2, 16), dtype=np.int64), np.ones((2, 4), dtype=np.int64)]
    levels[0][1] = 5
    assert of("bits_per_pixel", BLACK, Sent(BLACK, levels)).value == 0
    levels[1][0] = [0, 1, 2, 3]
    found = of("bits_per_pixel", BLACK, Sent(BLACK, levels))
    costs = [4 * 2 / 16, 0]
    assert found.value == pytest.approx(np.mean(costs))
    assert found.std_error == pytest.approx(np.std(costs, ddof=1) / 2**0.5)
    assert found.n == 2


def test_files_cost_what_they_are():
    found = of("bits_per_pixel", BLACK, Sent(BLACK, (), np.array([320.0, 160.0])))
    assert (found.value, found.n) == (15, 2)


def test_decibels_of_the_mean_error():
    """Not the mean of decibels; differences of bytes don't wrap."""
    made = BLACK.copy()
    made[0] += 2
    made[1, :, :, :2] = 255
    found = of("coded_psnr", BLACK, Sent(made))
    errors = [4, 255**2 / 2]
    assert found.value == pytest.approx(10 * log10(255**2 / np.mean(errors)))
    slope = 10 / np.log(10) / np.mean(errors)
    assert found.std_error == pytest.approx(slope * np.std(errors, ddof=1) / 2**0.5)
    assert of("coded_psnr", made, Sent(BLACK)).value == pytest.approx(found.value)
    exact = of("coded_psnr", BLACK, Sent(BLACK)).value
    assert exact == pytest.approx(METRICS["coded_psnr"].facts.high)
    assert exact == pytest.approx(58.92, abs=0.01)


def test_seams_by_hand():
    """Steps of 1 everywhere but for one of 10 at the seam: five steps are within two pixels."""
    steps = np.ones(19)
    steps[9] = 10
    row = np.concatenate([[0], np.cumsum(steps)]).astype(np.uint8)
    images = np.broadcast_to(row, (3, 1, 6, 20)).copy()
    assert of("seam_ratio", None, Joined(images, 10)).value == pytest.approx(14 / 5)
    assert of("seam_ratio", None, Joined(images, 4)).value == pytest.approx(1 / (23 / 14))
    for seam, near in ((7, 1), (8, 14 / 5), (12, 14 / 5), (13, 1)):
        value = of("seam_ratio", None, Joined(images, seam)).value
        assert value == pytest.approx(near if near > 1 else 1 / (23 / 14))


def test_a_seam_of_images_that_are_flat_elsewhere():
    """They say nothing, and are left out; bytes that fall don't wrap."""
    images = np.zeros((2, 1, 4, 20), dtype=np.uint8)
    images[0, ..., ::2] = 200
    found = of("seam_ratio", None, Joined(images, 10))
    assert (found.value, found.n) == (1, 1)
    with pytest.raises(UsageError, match="no seam can be judged"):
        of("seam_ratio", None, Joined(images[1:], 10))
    with pytest.raises(UsageError, match="got 4 columns and the seam at 2"):
        of("seam_ratio", None, Joined(images[..., :4], 2))


def test_energy_shares():
    found = of("energy_share", np.array([4.0, 0.0, 10.0]), np.array([1.0, 0.0, 5.0]))
    assert (found.value, found.n) == (pytest.approx(0.375), 2)
    assert of("energy_share", np.zeros(3), np.zeros(3)).value == 0


def test_rebuilding():
    images = np.zeros((2, 1, 3, 3))
    made = images.copy()
    made[0, 0, 1, 1], made[1, 0, 2, 0] = -3, 1
    assert of("rebuilding_error", images, made).value == 2

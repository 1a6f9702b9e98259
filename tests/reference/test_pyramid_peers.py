"""The steerable pyramid against plenoptic's, where that is installed."""

import pytest
import torch

from generative.pyramids.steerable import analyse

pytest.importorskip("plenoptic")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", [(64, 64), (96, 128)])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_bands_are_those_of_plenoptic(size, count):
    """Theirs are looked up in tables and of single precision: 1e-4. Its odd sizes are not exact."""
    from plenoptic.process import SteerablePyramidFreq

    images = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(count))
    peer = SteerablePyramidFreq(size, height=2, order=count - 1, tight_frame=True)(images)
    ours = analyse(images.double(), 2, count)
    pairs = [
        (peer["residual_highpass"], ours.high),
        (peer["residual_lowpass"], ours.low),
        *((peer[level], ours.oriented[level]) for level in range(2)),
    ]
    for theirs, own in pairs:
        torch.testing.assert_close(theirs.double(), own, rtol=0, atol=1e-4)

"""Path lengths: of a linear map what the mathematics says, and what is trimmed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from generative import Decoder
from generative.ways import STEP, circled, lined, stretches
from metrics import METRICS
from metrics.path_length import Paths, trimmed


class Linear(Decoder):
    """x = A z in double precision."""

    def __init__(self, matrix):
        self.matrix = matrix

    def codes(self, n, rng):
        return torch.randn(n, self.matrix.shape[1], generator=rng)

    def decode(self, z):
        return z.double() @ self.matrix.T

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def tensors(self):
        return {}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_of_a_linear_map_straight_ways_are_twice_its_trace(share):
    """|A (w' - w)|^2 has the mean 2 tr A A' at every share of the way."""
    rng = torch.Generator().manual_seed(0)
    matrix = torch.randn(20, 6, generator=rng).double()
    ends = [torch.randn(40_000, 6, generator=rng).double() for _ in range(2)]
    at = torch.full((40_000, 1), share).double()
    first, second = (lined(*ends, s) @ matrix.T for s in (at, at + STEP))
    paths = Paths(first.numpy(), second.numpy(), STEP)
    wanted = 2 * float((matrix @ matrix.T).trace())
    assert paths.lengths.mean() == pytest.approx(wanted, rel=0.02)
    assert 0.9 * wanted < trimmed(paths).value < paths.lengths.mean()


def test_what_lies_outside_the_first_and_last_percentile_is_dropped():
    """Two of 200 at either end, the percentiles themselves stay."""
    lengths = np.arange(200.0) ** 2
    lengths[-1] = 1e9
    paths = Paths(np.zeros((200, 1)), np.sqrt(lengths)[:, None] * 0.5, 0.5)
    found = trimmed(paths)
    assert found.n == 198
    assert found.value == pytest.approx(lengths[1:199].mean())


def test_both_metrics_are_trimmed_means():
    paths = Paths(np.zeros((3, 2)), np.ones((3, 2)), 0.5)
    for name in ("path_length", "style_path_length"):
        assert METRICS[name].part(None, paths).value == pytest.approx(8)


def test_a_great_circle_keeps_lengths_and_goes_evenly():
    rng = torch.Generator().manual_seed(0)
    first, second = (torch.randn(50, 9, generator=rng).double() for _ in range(2))
    ends = [circled(first, second, torch.full((50, 1), s).double()) for s in (0.0, 1.0)]
    torch.testing.assert_close(ends[0], first)
    torch.testing.assert_close(ends[1], second)
    unit = [x / x.norm(dim=1, keepdim=True) for x in (first, second)]
    whole = (unit[0] * unit[1]).sum(1).acos()
    half = circled(*unit, torch.full((50, 1), 0.25).double())
    torch.testing.assert_close(half.norm(dim=1), torch.ones(50).double())
    torch.testing.assert_close((unit[0] * half).sum(1).acos(), whole / 4)


def test_stretches_are_a_step_apart_between_codes_of_the_model():
    """Of the identity: as long as the great circle and the change of length together."""
    model = Linear(torch.eye(5).double())
    first, second = stretches(model, 500, torch.Generator().manual_seed(0))
    paths = Paths(first.numpy(), second.numpy(), STEP)
    rng = torch.Generator().manual_seed(0)
    ends = [model.codes(500, rng).double() for _ in range(2)]
    at = torch.rand(500, 1, generator=rng).double()
    rough = (circled(*ends, at + 0.01) - circled(*ends, at - 0.01)).square().sum(1) / 0.02**2
    np.testing.assert_allclose(paths.lengths, rough.numpy(), rtol=0.05)

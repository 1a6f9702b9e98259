"""Losses by name."""

import pytest
import torch

from bench.laws.losses import _gradients
from generative import LOSSES


def test_saturation():
    """Where the critic is sure of a fake the minimax game is silent; the other is not."""
    fake = torch.full((1,), -20.0, requires_grad=True)
    slopes = {}
    for name in ("minimax", "nonsaturating"):
        (slope,) = _gradients(LOSSES[name].part().generator(fake.detach(), fake), fake)
        slopes[name] = float(slope)
    assert slopes["minimax"] == pytest.approx(0, abs=1e-8)
    assert slopes["nonsaturating"] == pytest.approx(-1, abs=1e-8)

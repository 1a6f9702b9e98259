"""Shapes are types, and the tests check them."""

import jaxtyping
import pytest
import torch

from bench.datasets import DATASETS
from generative import LOSSES
from metrics import tally


def test_a_wrong_shape_is_caught():
    loss = LOSSES["minimax"].part()
    assert loss.critic(torch.zeros(3), torch.zeros(3)).shape == (3,)
    with pytest.raises(jaxtyping.TypeCheckError, match="real"):
        loss.critic(torch.zeros(3, 2), torch.zeros(3, 2))


def test_the_metrics_are_checked_too():
    mixture = DATASETS["ring8@pacgan"].part
    with pytest.raises(jaxtyping.TypeCheckError, match="samples"):
        tally(mixture, mixture.sample(4, torch.Generator()), "euclid3")

"""What denoising autoencoders learn, beside the linear optima that are known."""

import pytest
import torch
from torch import nn

from bench.core.randomness import stream
from generative import PROTOCOLS, RECIPES
from generative.boltzmann import Layer
from generative.games.encoding import Coder
from generative.recipes.autoencoder import SquaredError, masked

N, D = 60_000, 5


def gaussian():
    """Examples of N(0, S), S [d, d] exactly the second moment of the sample."""
    rng = stream("gaussian")
    mixing = torch.randn(D, D, generator=rng).double()
    x = torch.randn(N, D, generator=rng).double() @ mixing
    return x - x.mean(0), x


def slope_at(weights, x, corruption):
    """Of the loss by the map's weights, over the loss's scale, at r(x) = W x."""
    encoder, decoder = nn.Linear(D, D, bias=False).double(), nn.Identity()
    with torch.no_grad():
        encoder.weight.copy_(weights)
    loss = SquaredError(corruption).loss(Coder(encoder, decoder, D), x, stream("slope"), 0.0)
    (slope,) = torch.autograd.grad(loss.mean(), encoder.weight)
    return float(slope.norm() / x.square().sum(1).mean())


@pytest.mark.parametrize("v", [0.1, 0.25, 0.5])
def test_masking_has_its_linear_optimum(v):
    """W = (1 - v) S [(1 - v)^2 S + v (1 - v) diag S]^-1: the loss is at rest there, and nowhere
    near the identity, nor at the optimum of another share.
    """
    x, _ = gaussian()
    s = x.T @ x / N
    diagonal = torch.diag(s.diagonal())

    def best(v):
        return (1 - v) * s @ torch.linalg.inv((1 - v) ** 2 * s + v * (1 - v) * diagonal)

    assert slope_at(best(v), x, v) < 0.02
    assert slope_at(torch.eye(D).double(), x, v) > 0.04
    assert slope_at(best(v + 0.3), x, v) > 0.04


def test_gaussian_noise_has_its_linear_optimum():
    """W = S (S + s^2 I)^-1, by regression of examples on noisy ones."""
    x, _ = gaussian()
    noisy = x + 0.7 * torch.randn(N, D, generator=stream("noise")).double()
    s = x.T @ x / N
    wanted = s @ torch.linalg.inv(s + 0.49 * torch.eye(D).double())
    found = torch.linalg.lstsq(noisy, x).solution.T
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.02)


def test_each_value_is_masked_by_itself():
    x = torch.ones(4000, 3)
    kept = masked(x, 0.25, stream("mask"))
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(kept.mean(0), torch.full((3,), 0.75), rtol=0, atol=0.03)
    assert torch.cov(kept.T).fill_diagonal_(0).abs().max() < 0.02
    assert masked(x, 0.0, stream("mask")) is x


def test_a_layer_makes_its_whole_input_of_a_masked_one():
    """The cross-entropy with what was there before, by tied weights."""
    lesson = RECIPES["stacked-denoising-autoencoder"].part.lesson
    layer, v = Layer(6, 4, ("logistic", "logistic")), torch.rand(9, 6, generator=stream("v"))
    layer.begin(0.3, stream("weights"))
    ((value, weight),) = lesson.summands(layer, v, stream("mask"))
    seen = v * (torch.rand(v.shape, generator=stream("mask")) >= 0.25)
    h = torch.sigmoid(seen @ layer.weight.T)
    made = torch.sigmoid(h @ layer.weight)
    wanted = -(v * made.log() + (1 - v) * (1 - made).log()).sum(1)
    torch.testing.assert_close(value, wanted)
    assert weight == 1
    protocol = PROTOCOLS["vincent-2008"].part
    assert lesson.optimiser(protocol, "logistic", 9) == protocol.generator_adam
    assert lesson.decay == 0.5

"""Principal components and logistic ones, beside what is known of them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from generative import RECIPES, Training
from generative.games.encoding import Coder
from generative.logistic import loss, newton
from generative.recipes.autoencoder import CrossEntropy, SquaredError

DIGITS = DATASETS["optdigits"].part


def fitted(name, latent):
    source = DIGITS.source(0)
    trainer = RECIPES[name].part.trainer(Training("hinton-2006", latent=latent), source.shape)
    return trainer.finish(trainer.start(source, torch.Generator())), source


@pytest.mark.parametrize("latent", [2, 18])
def test_what_components_lose_is_the_sum_of_the_eigenvalues_left_out(latent):
    """Over the training images: n - 1 of n of it, as eigenvalues are over n - 1."""
    model, source = fitted("pca", latent)
    x = source.training.flatten(1).double()
    made = model.decode(model.encode(source.training)).flatten(1).double()
    values = torch.linalg.eigvalsh(torch.cov(x.T))
    wanted = float(values[:-latent].sum()) * (len(x) - 1) / len(x)
    assert float((made - x).square().sum(1).mean()) == pytest.approx(wanted, rel=1e-4)


def test_codes_of_components_have_variance_one_and_no_correlation():
    model, source = fitted("pca", 6)
    codes = model.encode(source.training).double()
    torch.testing.assert_close(
        torch.cov(codes.T), torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-3
    )
    assert codes.mean(0).abs().max() < 1e-4


def test_a_linear_autoencoder_is_at_rest_at_the_principal_components():
    """Its loss there is the eigenvalues left out, no direction lowers it, and another subspace of
    as many dimensions loses more (Bourlard and Kamp 1988).
    """
    k, rng = 4, torch.Generator().manual_seed(0)
    mixing = torch.randn(9, 9, generator=rng, dtype=torch.float64)
    x = torch.randn(500, 9, generator=rng, dtype=torch.float64) @ mixing
    x = x - x.mean(0)
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    coder = Coder(nn.Linear(9, k), nn.Linear(k, 9), k).double()

    def at(vectors):
        with torch.no_grad():
            coder.encoder.weight.copy_(vectors.T)
            coder.decoder.weight.copy_(vectors)
            for part in (coder.encoder, coder.decoder):
                part.bias.zero_()
        coder.zero_grad()
        value = SquaredError(corruption=0.0).loss(coder, x, rng, 0.0).mean()
        value.backward()
        return value, torch.cat([w.grad.flatten() for w in coder.parameters()])

    value, slope = at(vectors[:, -k:])
    torch.testing.assert_close(value.detach(), values[:-k].sum())
    assert slope.abs().max() < 1e-10
    assert at(vectors[:, :k])[0] > value


def test_newton_finds_what_a_solver_finds():
    rng = np.random.default_rng(0)
    design, offset = rng.normal(size=(40, 5)), rng.normal(size=40)
    x, ridge = rng.random((7, 40)), np.array([1.0, 1.0, 0.5, 2.0, 1.0])
    tensors = [torch.from_numpy(a) for a in (design, offset, x, ridge)]
    found = newton(torch.zeros(7, 5).double(), *tensors, steps=12)
    for own, target in zip(found, x, strict=True):

        def value(z, target=target):
            logits = design @ z + offset
            costs = np.logaddexp(0, logits) - target * logits
            return costs.sum() + (ridge * z**2).sum() / 2

        wanted = minimize(value, np.zeros(5), method="BFGS", options={"gtol": 1e-9})
        np.testing.assert_allclose(own, wanted.x, atol=1e-5)
        own_loss = loss(own[None], *tensors[:2], torch.from_numpy(target)[None], tensors[3])
        assert float(own_loss) == pytest.approx(value(own.numpy()), rel=1e-12)


def test_a_step_that_would_climb_is_halved():
    """From far away a plain Newton step of a logistic loss leaps: no step of this one climbs."""
    design = 3 * torch.randn(30, 2, generator=torch.Generator().manual_seed(1)).double()
    offset, ridge = torch.zeros(30).double(), torch.full((2,), 1e-3).double()
    x = (torch.rand(50, 30, generator=torch.Generator().manual_seed(2)) < 0.5).double()
    z = torch.full((50, 2), 4.0).double()
    values = [loss(z, design, offset, x, ridge)]
    for _ in range(8):
        z = newton(z, design, offset, x, ridge, 1)
        values.append(loss(z, design, offset, x, ridge))
    assert all(bool((b <= a).all()) for a, b in pairwise(values))


def test_logistic_codes_are_the_likeliest_and_lose_less_than_linear_ones():
    model, source = fitted("logistic-pca", 6)
    x, z = source.held_out[:20], model.encode(source.held_out[:20]).double()
    factors, offset = (model.tensors()[name].double() for name in ("factors", "offset"))
    mean = (z @ factors + offset).sigmoid()
    slope = (mean - x.flatten(1).double()) @ factors.T + z
    assert slope.abs().max() < 1e-4
    linear, _ = fitted("pca", 6)
    held = source.held_out
    errors = [float((m.decode(m.encode(held)) - held).square().mean()) for m in (model, linear)]
    assert errors[0] < errors[1]


def test_more_components_than_values_are_refused():
    with pytest.raises(UsageError, match="latent=65 components of examples of 64 values: expected"):
        fitted("pca", 65)


def test_cross_entropy_by_its_formula():
    coder = Coder(nn.Linear(4, 2), nn.Sequential(nn.Linear(2, 4), nn.Sigmoid()), 2)
    x = torch.rand(6, 4, generator=stream("x"))
    y = coder.decoder(coder.encoder(x))
    wanted = -(x * y.log() + (1 - x) * (1 - y).log()).sum(1)
    torch.testing.assert_close(CrossEntropy().loss(coder, x, stream("y"), 0.0), wanted)

"""Variational and plain autoencoders against closed forms, and against their own definitions."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm
from torch import nn
from torch.distributions import Normal, kl_divergence

from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import RECIPES, Autoencoder, LatentSampler, Training
from generative.games.encoding import Coder
from generative.recipes.autoencoder import SquaredError
from generative.recipes.vae import Elbo, divergence, log_gaussian

DIGITS = DATASETS["single@optdigits"].part
TRAINING = Training("plane", steps=1_500, batch=64)


def _trained(name, data=DIGITS, training=TRAINING):
    """A model, and the data it has seen."""
    with forked(0):
        source = data.source(0)
        trainer = RECIPES[name].part.trainer(training, source.shape)
        state = trainer.advance(trainer.start(source, stream("vae", 0)), trainer.steps)
        return trainer.finish(state), source


@pytest.fixture(scope="module")
def vae():
    """A variational autoencoder of digits, with two latent dimensions."""
    torch.set_num_threads(1)
    return _trained("vae")


@pytest.fixture(scope="module")
def autoencoder():
    """An autoencoder of digits, with a code of two dimensions."""
    torch.set_num_threads(1)
    return _trained("autoencoder", training=TRAINING.saying(steps=600))


def _double(*shape, seed=0):
    return torch.randn(*shape, generator=stream("double", seed), dtype=torch.float64)


def _mean_and_error(draws):
    """The mean of draws [rounds, n] over both, and its standard error over the rounds."""
    by_round = torch.stack(draws).double().mean(1)
    return float(by_round.mean()), float(by_round.std() / len(by_round) ** 0.5)


def test_the_divergence_is_that_of_gaussians():
    """Summed over the independent dimensions of the code."""
    mean, log_variance = _double(50, 7), 3 * _double(50, 7, seed=1)
    wanted = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), wanted, rtol=1e-12, atol=1e-12)
    assert (divergence(torch.zeros(3, 7), torch.zeros(3, 7)) == 0).all()


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
@pytest.mark.parametrize("variance", [1e-4, 1.0, 9.0])
def test_the_likelihood_is_that_of_a_gaussian(shape, variance):
    """Summed over points and over images, by SciPy."""
    x, mean = _double(20, *shape), _double(20, *shape, seed=1)
    values = log_gaussian(x, mean, torch.tensor(variance, dtype=torch.float64))
    wanted = norm.logpdf(x.numpy(), mean.numpy(), variance**0.5).reshape(20, -1).sum(1)
    np.testing.assert_allclose(values.numpy(), wanted, rtol=1e-12)


VARIANCE = 0.3
SCALES = torch.tensor([2.0, 0.7], dtype=torch.float64)


def _linear_model(off=0.0):
    """x = z S Q + b + noise in 5 dimensions, Q with orthonormal rows, so that the posterior is
    diagonal; the encoder has it, its means off by a number and its deviations by a factor. Also
    the exact distribution of x.
    """
    rows = torch.linalg.qr(_double(5, 2))[0].T
    weight, bias = (SCALES[:, None] * rows).T, _double(5, seed=1)
    precision = 1 + SCALES**2 / VARIANCE
    encoder, decoder = nn.Linear(5, 4).double(), nn.Linear(2, 5).double()
    coder = Coder(encoder, decoder, 2).double()
    with torch.no_grad():
        decoder.weight.copy_(weight)
        decoder.bias.copy_(bias)
        to_mean = weight.T / VARIANCE / precision[:, None]
        encoder.weight.copy_(torch.cat([to_mean, torch.zeros(2, 5, dtype=torch.float64)]))
        mean_bias, log_variance = off - to_mean @ bias, 2 * off - precision.log()
        encoder.bias.copy_(torch.cat([mean_bias, log_variance]))
        coder.variance.fill_(VARIANCE)
    covariance = weight @ weight.T + VARIANCE * torch.eye(5, dtype=torch.float64)
    return coder, multivariate_normal(bias.numpy(), covariance.numpy())


def _points_of(exact, n):
    return torch.as_tensor(exact.rvs(n, random_state=np.random.default_rng(0)))


def test_the_exact_posterior_gives_the_exact_likelihood():
    """Every importance weight is then p(x), and the bound is tight in expectation."""
    coder, exact = _linear_model()
    model, x = Elbo(noisy=True).fitted(coder, None), _points_of(exact, 40)
    log_prob = exact.logpdf(x.numpy())
    for samples in (1, 3):
        estimate = model.importance_log_prob(x, stream("exact"), samples)
        np.testing.assert_allclose(estimate.numpy(), log_prob, rtol=0, atol=1e-6)
    bounds = [torch.sub(*model.elbo(x, stream("exact", i))) for i in range(1_000)]
    bound, error = _mean_and_error(bounds)
    assert bound == pytest.approx(log_prob.mean(), abs=4 * error)
    assert error < 0.01


def test_importance_weights_make_up_for_a_wrong_posterior():
    """The estimate comes to the exact log-likelihood, the bound stays below it by the divergence
    between the posteriors, on average.
    """
    off = 0.4
    coder, exact = _linear_model(off)
    model, x = Elbo(noisy=True).fitted(coder, None), _points_of(exact, 40)
    log_prob = exact.logpdf(x.numpy())
    estimate = model.importance_log_prob(x, stream("wrong"), 10_000)
    np.testing.assert_allclose(estimate.numpy(), log_prob, rtol=0, atol=0.1)
    assert float(estimate.mean()) == pytest.approx(log_prob.mean(), abs=0.02)
    truth = (1 + SCALES**2 / VARIANCE).rsqrt()
    gap = float(kl_divergence(Normal(off, truth * np.exp(off)), Normal(0.0, truth)).sum())
    bounds = [torch.sub(*model.elbo(x, stream("wrong", i))) for i in range(1_000)]
    bound, error = _mean_and_error(bounds)
    assert bound == pytest.approx(log_prob.mean() - gap, abs=4 * error)
    assert gap > 20 * error


def test_samples_of_a_linear_model_have_its_moments():
    """With the decoder's noise those of the data, without it those of the decoder's means."""
    coder, exact = _linear_model()
    coder = coder.float()
    noise = VARIANCE * np.eye(5)
    for noisy, covariance in ((True, exact.cov), (False, exact.cov - noise)):
        samples = Elbo(noisy=noisy).fitted(coder, None).sample(100_000, stream("moments")).double()
        np.testing.assert_allclose(samples.mean(0).numpy(), exact.mean, rtol=0, atol=0.03)
        np.testing.assert_allclose(torch.cov(samples.T).numpy(), covariance, rtol=0, atol=0.06)


def test_the_loss_is_minus_the_bound():
    """By the same draw, once the divergence has its full weight; before, with less of it."""
    coder, exact = _linear_model(0.3)
    objective, x = Elbo(noisy=True), _points_of(exact, 30)
    losses = {}
    for progress in (0.0, 0.1, 0.2, 1.0):
        copied = copy.deepcopy(coder)
        losses[progress] = objective.loss(copied, x, stream("loss"), progress).detach()
        model = objective.fitted(copied, None)
        expected, kl = model.elbo(x, stream("loss"))
        wanted = min(1, 5 * progress) * kl - expected
        torch.testing.assert_close(losses[progress], wanted, rtol=0, atol=1e-9)
    assert (losses[0.0] < losses[0.1]).all()
    assert torch.equal(losses[0.2], losses[1.0])


def test_the_variance_follows_the_squared_error():
    """It starts at the first error and comes to the mean of all, where the encoder stands still;
    that is where the likelihood of the reconstructions is highest.
    """
    coder, exact = _linear_model(0.3)
    objective, x, rng = Elbo(noisy=True), _points_of(exact, 200), stream("variance")
    coder.variance.zero_()
    objective.loss(coder, x, stream("first"), 1.0)
    posterior_mean, log_variance = coder.encoder(x).detach().chunk(2, 1)

    def decoded(rng):
        noise = torch.randn(posterior_mean.shape, generator=rng)
        return coder.decoder(posterior_mean + (log_variance / 2).exp() * noise).detach()

    first = (x - decoded(stream("first"))).square().mean()
    torch.testing.assert_close(coder.variance, first, rtol=1e-12, atol=0)
    coder.variance.fill_(10 * VARIANCE)
    for _ in range(1_500):
        objective.loss(coder, x, rng, 1.0)
    again = [decoded(stream("error", i)) for i in range(300)]
    error = torch.stack([(x - mean).square().mean() for mean in again]).mean()
    assert float(coder.variance) == pytest.approx(float(error), rel=0.02)
    likelihoods = [
        sum(float(log_gaussian(x, mean, factor * error).mean()) for mean in again)
        for factor in (0.9, 1.0, 1.1)
    ]
    assert max(likelihoods) == likelihoods[1]


def test_the_variance_of_a_trained_model_is_its_squared_error(vae):
    """Over the training set, with codes drawn from the posterior."""
    model, source = vae
    coder = model._coder
    x = source.training
    with torch.inference_mode():
        mean, log_variance = coder.encoder(x).chunk(2, 1)
        errors = []
        for i in range(20):
            noise = torch.randn(mean.shape, generator=stream("trained", i))
            decoded = model.decode(mean + (log_variance / 2).exp() * noise)
            errors.append(float((x - decoded).square().mean()))
    assert float(model.tensors()["variance"]) == pytest.approx(np.mean(errors), rel=0.02)


def _held_out(source):
    return source.fresh(200, stream("held out"))


def test_a_trained_model_is_what_its_type_says(vae, autoencoder):
    """It encodes and decodes; only the variational one has a bound."""
    assert isinstance(vae[0], LatentSampler)
    assert not isinstance(autoencoder[0], LatentSampler)
    for model, source in (vae, autoencoder):
        assert isinstance(model, Autoencoder)
        x = _held_out(source)
        codes = model.encode(x)
        assert codes.shape == (200, 2)
        assert model.decode(codes).shape == x.shape
        error = (model.decode(codes) - x).square().mean()
        assert error < 0.8 * (x - source.training.mean(0)).square().mean()


def test_one_importance_sample_is_the_bound(vae):
    """In expectation: on held-out digits the two means agree within 4 standard errors, though the
    one has the divergence in closed form and the other its draws.
    """
    model, source = vae
    x, rounds = _held_out(source), 100
    bounds = [torch.sub(*model.elbo(x, stream("bound", i))) for i in range(rounds)]
    singles = [model.importance_log_prob(x, stream("one", i), 1) for i in range(rounds)]
    (bound, error), (single, other) = _mean_and_error(bounds), _mean_and_error(singles)
    assert single == pytest.approx(bound, abs=4 * np.hypot(error, other))


def test_the_bound_lies_below_and_tightens(vae):
    """On held-out digits, means over 20 rounds: the bound, then 1, 10 and 200 importance samples,
    every one above the last by more than 4 standard errors but for the first, which is the bound.
    """
    model, source = vae
    x, rounds = _held_out(source), 20
    bounds = [torch.sub(*model.elbo(x, stream("below", i))) for i in range(5 * rounds)]
    ladder = [_mean_and_error(bounds)]
    for samples in (1, 10, 200):
        estimates = [
            model.importance_log_prob(x, stream("tighter", samples, i), samples)
            for i in range(rounds)
        ]
        ladder.append(_mean_and_error(estimates))
    (bound, error), (one, other), (ten, tenth), (many, last) = ladder
    assert bound <= one + 4 * np.hypot(error, other)
    assert one + 4 * np.hypot(other, tenth) < ten
    assert ten + 4 * np.hypot(tenth, last) < many
    assert bound + 4 * np.hypot(error, last) < many


def test_the_two_terms_of_the_bound_are_what_they_say(vae):
    """The divergence is positive and needs no draw; the likelihood is that of one."""
    model, source = vae
    x = _held_out(source)
    (first, kl), (second, same) = (model.elbo(x, stream("terms", i)) for i in range(2))
    assert first.shape == kl.shape == (200,)
    assert torch.equal(kl, same)
    assert (kl > 0).all()
    assert not torch.equal(first, second)


def test_codes_are_drawn_from_the_gaussian_of_the_codes(autoencoder):
    """Of the training set: its mean, and its covariance over n - 1."""
    model, source = autoencoder
    codes, tensors = model.encode(source.training).double(), model.tensors()
    factor = tensors["code_factor"].double()
    torch.testing.assert_close(tensors["code_mean"].double(), codes.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(factor @ factor.T, torch.cov(codes.T), rtol=1e-3, atol=1e-4)
    drawn = model._coder.draw_codes(100_000, stream("codes")).double()
    spread = float(codes.std(0).max())
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), rtol=0, atol=0.02 * spread)
    torch.testing.assert_close(
        torch.cov(drawn.T), torch.cov(codes.T), rtol=0.03, atol=0.02 * spread**2
    )


def test_codes_are_those_of_the_first_examples():
    """4,000 of them, where there are more."""
    data = replace(DATASETS["ring8@pacgan"].part, training_points=6_000)
    model, source = _trained("autoencoder", data, Training("plane", steps=5, batch=16))
    codes, mean = model.encode(source.training).double(), model.tensors()["code_mean"].double()
    torch.testing.assert_close(mean, codes[:4_000].mean(0), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(mean, codes.mean(0), rtol=1e-5, atol=1e-6)


def test_codes_of_one_kind_are_drawn_all_the_same():
    """Where all codes are alike the covariance is 0, which is no obstacle."""
    encoder, decoder = nn.Linear(2, 3), nn.Linear(3, 2)
    nn.init.zeros_(encoder.weight)
    coder, source = Coder(encoder, decoder, 3), DATASETS["ring8@pacgan"].part.source(0)
    with torch.inference_mode():
        SquaredError(corruption=0.0).settle(coder, source)
    drawn = coder.draw_codes(50, stream("alike"))
    torch.testing.assert_close(drawn, encoder.bias.detach().expand(50, 3), rtol=0, atol=1e-4)


class Watched(nn.Module):
    """An encoder that keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        return x.flatten(1)[:, :2]


class Nothing(nn.Module):
    """A decoder of zeros."""

    def forward(self, z):
        return torch.zeros(len(z), 1, 10, 10)


@pytest.mark.parametrize(("name", "share"), [("autoencoder", 0.0), ("denoising-autoencoder", 0.3)])
def test_corruption(name, share):
    """The encoder sees the share of values as 0 and the rest as they are, anew each time; the
    error is that against the clean examples, and nothing is corrupted when codes are asked for.
    """
    coder, objective = Coder(Watched(), Nothing(), 2), RECIPES[name].part.objective
    x = 0.5 + torch.rand(1_000, 1, 10, 10, generator=stream("clean"))
    rng = stream("corruption")
    losses = [objective.loss(coder, x, rng, 0.5) for _ in range(2)]
    once, again = coder.encoder.seen
    assert float((once == 0).double().mean()) == pytest.approx(share, abs=4 * 0.21**0.5 / 1e5**0.5)
    assert torch.equal(once[once != 0], x[once != 0])
    assert torch.equal(once, again) == (share == 0)
    for loss in losses:
        torch.testing.assert_close(loss, x.flatten(1).square().sum(1))
    objective.encode(coder, x)
    assert torch.equal(coder.encoder.seen[-1], x)


@pytest.mark.parametrize("name", ["vae", "autoencoder"])
def test_the_rate_falls_over_the_second_half(name):
    """In a line, so that the last of ten steps is made at a fifth of the rate."""
    with forked(0):
        source = DATASETS["ring8@pacgan"].part.source(0)
        trainer = RECIPES[name].part.trainer(Training("plane", steps=10, batch=8), source.shape)
        state, rates = trainer.start(source, stream("rate")), []
        for _ in range(10):
            state = trainer.advance(state, 1)
            rates.append(state.table.optimisers["coder"].param_groups[0]["lr"])
    shares = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    assert rates == pytest.approx([1e-3 * share for share in shares])

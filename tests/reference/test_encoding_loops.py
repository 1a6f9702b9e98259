"""Autoencoders and the variational one by hand, beside the trainer of both: the same weights after
three steps. Estimators that see the whole training set at once, by their formulas.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
import pytest
import torch
from reference.loops import STEPS, Known, Stream, advanced, assert_same, stepped
from torch import nn

from bench.core.randomness import stream
from generative import RECIPES, Training
from generative.networks import Dcgan, Mlp
from generative.recipes import gaussians

BATCH = 6
WHOLE, BEGINNING = (3, 0), (20, 1)
"""Steps of a training, and those that were made before the three: a whole one, in whose second half
the rate falls; and the first fifth of one, in which the divergence of a VAE is weighed in.
"""
pytestmark = pytest.mark.usefixtures("double")

PLACES = {
    "plane": (
        (2,),
        2,
        Mlp((128, 128, 128)),
        Mlp((128, 128, 128), "leaky_relu"),
        1e-3,
        (0.5, 0.999),
    ),
    "unrolled-notebook": ((2,), 256, *2 * [Mlp((128, 128), "tanh")], 1e-3, (0.5, 0.999)),
    "small-dcgan": ((1, 8, 8), 16, *2 * [Dcgan(16, batch_norm=False)], 2e-3, (0.5, 0.999)),
    "goodfellow-2014": (
        (1, 8, 8),
        100,
        Mlp((1200, 1200), input_scale=3**0.5),
        Mlp((240, 240), maxout=5, dropout=(0.2, 0.5)),
        1e-3,
        (0.9, 0.999),
    ),
}
"""Shape, codes, layers of the decoder and of the encoder without batch norm, Adam's rate and betas,
where the protocol has no Adam the usual ones.
"""


@dataclass
class ByHand:
    """Three steps, from PyTorch's own first weights."""

    protocol: str
    outputs: int
    loss: object
    part: tuple = WHOLE

    def __post_init__(self):
        shape, self.latent, decoder, encoder, rate, betas = PLACES[self.protocol]
        self.rng, data = torch.Generator().manual_seed(5), Stream(1, shape)
        self.variance, (total, first) = None, self.part
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.encoder = encoder.encoder(shape, self.outputs * self.latent)
            self.decoder = decoder.generator(self.latent, shape)
            both = nn.ModuleList([self.encoder, self.decoder])
            adam = torch.optim.Adam(both.parameters(), rate, betas)
            for done in range(first, first + STEPS):
                (group,) = adam.param_groups
                group["lr"] = rate * min(1.0, 2 * (1 - done / total))
                stepped(self.loss(self, data.next(BATCH), done / total).mean(), both, adam)

    def gaussian(self, x):
        """Mean and log variance of a code."""
        found = self.encoder(x)
        return found[:, : self.latent], found[:, self.latent :]


def squared(hand, x, progress):
    return ((x - hand.decoder(hand.encoder(x))) ** 2).flatten(1).sum(1)


def denoised(hand, x, progress):
    """Vincent et al. 2008: three of ten values are 0 at the input; the whole is to be made."""
    kept = torch.rand(x.shape, generator=hand.rng) >= 0.3
    return ((x - hand.decoder(hand.encoder(x * kept))) ** 2).flatten(1).sum(1)


def bound(hand, x, progress):
    """Kingma & Welling 2014, equation 10, with one variance for all values, followed over a hundred
    steps, and a divergence that counts from nothing to all within a fifth of the training.
    """
    mean, log_variance = hand.gaussian(x)
    z = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=hand.rng)
    made = hand.decoder(z)
    error = ((x - made) ** 2).mean().detach()
    hand.variance = error if hand.variance is None else 0.99 * hand.variance + 0.01 * error
    squares = ((x - made) ** 2).flatten(1)
    log_likelihood = -0.5 * (squares / hand.variance + (2 * pi * hand.variance).log()).sum(1)
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
    return min(1.0, 5 * progress) * divergence - log_likelihood


MODELS = {
    "autoencoder": (1, squared),
    "denoising-autoencoder": (1, denoised),
    "vae": (2, bound),
    "vae-mean": (2, bound),
}


def trained(name, protocol, part=WHOLE):
    """By the trainer: it, and its state."""
    (shape, *_), (total, first) = PLACES[protocol], part
    training = Training(protocol, steps=total, batch=BATCH)
    trainer = RECIPES[name].part.trainer(training, shape)
    return trainer, advanced(trainer, Known(shape), first)


@pytest.mark.parametrize("protocol", list(PLACES))
@pytest.mark.parametrize("part", [WHOLE, BEGINNING], ids=["whole", "beginning"])
@pytest.mark.parametrize("name", list(MODELS))
def test_three_steps(name, part, protocol):
    _, state = trained(name, protocol, part)
    hand = ByHand(protocol, *MODELS[name], part)
    assert_same(state.players["coder"].encoder, hand.encoder)
    assert_same(state.players["coder"].decoder, hand.decoder)
    if hand.variance is not None:
        torch.testing.assert_close(
            state.players["coder"].variance, hand.variance, rtol=1e-9, atol=0
        )


@pytest.mark.parametrize("name", ["autoencoder", "denoising-autoencoder"])
def test_codes_are_drawn_from_a_gaussian_on_the_codes_of_the_training_set(name):
    """Ghosh et al. 2020, section 4: mean and covariance of the codes, without corruption."""
    trainer, state = trained(name, "plane")
    model, hand = trainer.finish(state), ByHand("plane", *MODELS[name])
    codes = hand.encoder(Known((2,)).training).detach()
    centred = codes - codes.mean(0)
    covariance = centred.T @ centred / (len(codes) - 1)
    drawn = model.codes(200_000, stream("codes"))
    spread = covariance.diagonal().sqrt()
    torch.testing.assert_close(
        drawn.mean(0), codes.mean(0), rtol=0, atol=0.02 * float(spread.max())
    )
    error = (torch.cov(drawn.T) - covariance) / (spread[:, None] * spread)
    assert error.abs().max() < 0.02
    rng, again = stream("samples"), stream("samples")
    torch.testing.assert_close(model.sample(7, rng), hand.decoder(model.codes(7, again)).detach())


def test_the_variance_of_a_vae_is_settled_on_the_training_set():
    """One draw of z for each; its samples have it, and those of the mean do not."""
    trainer, state = trained("vae", "plane")
    model, hand = trainer.finish(state), ByHand("plane", *MODELS["vae"])
    x, rng = Known((2,)).training, stream("vae variance")
    mean, log_variance = hand.gaussian(x)
    made = hand.decoder(mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=rng))
    wanted = float(((x - made.detach()) ** 2).mean())
    assert float(model.tensors()["variance"]) == pytest.approx(wanted, rel=1e-9)


def test_an_estimator_gets_the_seed_and_the_training_set(monkeypatch):
    """The seed of its generator, for every start of EM; the number of modes where it is told."""
    seen, data = [], Known((2,), classes=4)
    em = gaussians._em

    def spied(points, components, starts, seed):
        seen.append((components, starts, seed))
        np.testing.assert_array_equal(points, data.training.numpy())
        return em(points, 1, 1, 0)

    monkeypatch.setattr(gaussians, "_em", spied)
    for name in ("gmm", "one-gaussian"):
        trainer = RECIPES[name].part.trainer(Training("plane"), data.shape)
        for seed in (3, 4):
            rng = torch.Generator().manual_seed(seed)
            trainer.advance(trainer.start(data, rng), 1)
    assert seen == [(4, 3, 3), (4, 3, 4), (1, 1, 3), (1, 1, 4)]


def test_principal_components_by_hand():
    """The leading ones, of the covariance over n - 1, with the spread that they have there."""
    data = Known((1, 8, 8))
    trainer = RECIPES["pca-gaussian"].part.trainer(Training("plane"), data.shape)
    model = trainer.finish(trainer.start(data, torch.Generator().manual_seed(0)))
    x = data.training.flatten(1)
    own, tensors = x - x.mean(0), model.tensors()
    _, values, vectors = torch.linalg.svd(own, full_matrices=False)
    wanted = (vectors[:50].T * values[:50] ** 2 / (len(x) - 1)) @ vectors[:50]
    torch.testing.assert_close(tensors["mean"], x.mean(0))
    torch.testing.assert_close(tensors["factors"].T @ tensors["factors"], wanted)
    left = (values[50:] ** 2).sum() / (len(x) - 1) / 64
    torch.testing.assert_close(tensors["residual"], left)


def test_the_mean_image_is_that_of_the_training_set():
    data = Known((1, 8, 8))
    trainer = RECIPES["one-image"].part.trainer(Training("plane"), data.shape)
    model = trainer.finish(trainer.start(data, torch.Generator()))
    torch.testing.assert_close(model.sample(2, stream("x"))[1], data.training.mean(0))

"""Recipes by name: what bounds a table, what GANs are made of, and every protocol with them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.laws.fitted import EASE, EASY
from bench.laws.recipes import (
    PLANE,
    STACKS,
    begin,
    changed,
    digest,
    train,
    under,
)
from generative import DYNAMICS, PENALTIES, PROTOCOLS, RECIPES, Training
from generative.networks import Dcgan
from generative.recipes.adversarial import Adversarial

GANS = [
    entry.name
    for entry in RECIPES.entries()
    if isinstance(entry.part, Adversarial) and not entry.facts.images_only
]
TOGETHER = [name for name in GANS if DYNAMICS[RECIPES[name].part.dynamics].facts.together]
"""Those whose players move at once, and nobody more often."""
TRAINING = PLANE.training
STEP_COSTS = {
    "plane": {
        "pacgan2": 1.1,
        "pacgan4": 1.5,
        "ebgan": 1.4,
        "wgan-gp": 5.1,
        "r3gan": 1.9,
        "unrolled1": 2.6,
        "unrolled10": 14.7,
        "minibatch-gan": 5.1,
    },
    "unrolled-notebook": {"pacgan4": 2.4, "unrolled5": 6.8, "minibatch-gan": 33.0},
    "small-dcgan": {"pacgan4": 1.4, "wgan-gp": 4.1, "unrolled10": 12.4, "minibatch-gan": 1.5},
}
"""What a step takes over one of nsgan, as measured (docs/pilot.md)."""
ALWAYS = {"protocol", "steps", "batch", "generator_lr", "critic_lr", "latent", "dynamics"}


def test_the_oracle_is_the_data():
    """Its samples are fresh data, its density the true one."""
    _, source, fitted = train(RECIPES["oracle"], EASE)
    samples = fitted.sample(100, stream("oracle"))
    assert torch.equal(samples, source.fresh(100, stream("oracle")))
    points = samples.numpy()
    np.testing.assert_array_equal(fitted.log_prob(points), EASY.log_prob(points))


def test_noise_fills_the_box_of_the_data():
    """Uniformly, from corner to corner."""
    _, source, fitted = train(RECIPES["noise"], EASE)
    low, high = source.training.amin(0), source.training.amax(0)
    unit = (fitted.sample(50_000, stream("noise")) - low) / (high - low)
    quarters = torch.histc(unit, 4, 0, 1) / unit.numel()
    torch.testing.assert_close(quarters, torch.full((4,), 0.25), rtol=0, atol=0.01)
    assert (unit.amin(0) >= 0).all()
    assert (unit.amax(0) <= 1).all()


def test_maximum_likelihood_has_the_moments_of_the_data():
    """One Gaussian has the mean and the covariance (over N) of the training set."""
    _, source, fitted = train(RECIPES["one-gaussian"], EASE)
    points, moments = source.training.double(), fitted.tensors()
    torch.testing.assert_close(moments["means"][0], points.mean(0))
    covariance = torch.cov(points.T, correction=0)
    torch.testing.assert_close(moments["covariances"][0], covariance, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["gmm", "gmm-bic"])
def test_mixtures_find_the_modes(name):
    """By EM on an easy mixture: three components, near the true centres."""
    _, _, fitted = train(RECIPES[name], EASE)
    means = fitted.tensors()["means"].numpy()
    gaps = np.linalg.norm(EASY.centres[:, None] - means[None], axis=2)
    assert means.shape == (3, 2)
    assert gaps.min(axis=1).max() < 0.1


def test_the_settings_of_a_gan():
    """All that say something; the penalty's weight where there is a penalty, by default its
    paper's.
    """
    for name in GANS:
        relevant, parts = RECIPES[name].part.relevant(TRAINING), RECIPES[name].facts.parts
        penalties = [part for part in parts if part in PENALTIES]
        said = RECIPES[name].part.own().items()
        own = {setting for setting, declared in said if declared.default is not None}
        assert ("penalty_weight" in own) == bool(penalties), name
        alternating = {"critic_steps"} if name not in TOGETHER else set()
        assert set(relevant) == ALWAYS | alternating | own, name
        for penalty in penalties:
            assert relevant["penalty_weight"] == PENALTIES[penalty].facts.weight, name


@pytest.mark.parametrize(
    ("name", "setting", "images", "points"),
    [
        ("wgan-gp", "penalty_weight", 10.0, 0.1),
        ("dragan", "penalty_weight", 10.0, 0.1),
        ("r1gan", "penalty_weight", 10.0, 10.0),
        ("sngan", "spectral_factor", None, 3.0),
    ],
)
def test_a_game_has_the_settings_of_its_kind_of_data(name, setting, images, points):
    """By the shape alone: the weight that the game plays with, whatever the protocol."""
    part = RECIPES[name].part

    def played(protocol, shape, **told):
        game = part.trainer(Training(protocol, **told), shape).game
        return game.penalties[0][1] if game.penalties else game.constraint.spectral_factor

    assert played("plane", (2,)) == played("unrolled-notebook", (1200,)) == points
    assert played("small-dcgan", (1, 8, 8)) == played("dense", (1, 8, 8)) == images
    assert played("plane", (2,), **{setting: 7.0}) == 7.0
    assert played("small-dcgan", (1, 8, 8), **{setting: 7.0}) == 7.0
    for wrong in (-1.0, float("nan"), "much"):
        with pytest.raises(UsageError, match=f"setting '{setting}': expected float, .*got"):
            played("plane", (2,), **{setting: wrong})


def test_a_factor_of_1_is_spectral_normalisation():
    """Bit for bit: nothing but the multiplication is added, no pass and no draw."""
    plain, told = replace(STACKS, cut=2), changed(STACKS, spectral_factor=1.0)
    models = [train(RECIPES["sngan"], place)[2].tensors() for place in (plain, told)]
    assert digest(models[0]) == digest(models[1])


@pytest.mark.parametrize("protocol", STEP_COSTS)
def test_forecasts_are_near_what_was_measured(protocol):
    """Within two thirds, by whatever a step's cost depends on."""
    plain = RECIPES["nsgan"].part.seconds(Training(protocol))
    for name, measured in STEP_COSTS[protocol].items():
        forecast = RECIPES[name].part.seconds(Training(protocol)) / plain
        assert 0.6 < forecast / measured < 1 / 0.6, (name, forecast)


def test_a_recipes_own_settings_are_its_papers():
    """The Wasserstein GANs have five critic steps, whatever the protocol, and others the
    protocol's; a training may ask for another number.
    """
    for name in {*GANS} - {*TOGETHER}:
        recipe, asked = RECIPES[name].part, TRAINING.saying(critic_steps=3)
        own = recipe.critic_steps or PROTOCOLS["plane"].part.critic_steps
        assert recipe.relevant(TRAINING)["critic_steps"] == own, name
        assert recipe.relevant(asked)["critic_steps"] == 3, name
    assert [RECIPES[name].part.critic_steps for name in ("wgan", "wgan-gp", "gan")] == [5, 5, None]


def test_a_penalty_without_weight_is_none():
    """R1, which draws nothing at random, with weight 0 is the plain non-saturating GAN."""
    penalised, plain = RECIPES["r1gan"], RECIPES["nsgan"]
    weights = [
        train(recipe, place)[2].tensors()
        for recipe, place in ((penalised, changed(penalty_weight=0.0)), (plain, PLANE))
    ]
    assert digest(weights[0]) == digest(weights[1])


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.995])
def test_the_model_is_the_average_of_the_generators(decay):
    """Of all so far with equal weights, as long as they are few; of the last ones, later."""
    recipe = RECIPES["nsgan"]
    with forked(0):
        trainer, source, _ = begin(recipe, STACKS)
        trainer = under(trainer, average=decay)
        state = trainer.start(source, stream("laws", 0))
        followed = {}
        for step in range(1, 7):
            state = trainer.advance(state, 1)
            pace = max(1 - decay, 1 / step)
            for name, new in state.players["generator"].state_dict().items():
                old = followed.get(name, torch.zeros_like(new))
                followed[name] = (1 - pace) * old + pace * new
    model = trainer.finish(state).tensors()
    for name, value in model.items():
        assert name in followed or name.startswith("critic.")
        if value.is_floating_point() and name in followed:
            torch.testing.assert_close(value, followed[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["gan", "nsgan", "rsgan", "autoencoder"])
def test_a_training_moves_towards_the_data(name):
    """After 600 steps samples lie nearer to the ring than those of an untrained generator."""
    far = []
    for steps in (1, 600):
        place = replace(PLANE, training=Training("plane", steps=steps, batch=64))
        _, _, fitted = train(RECIPES[name], place)
        radius = fitted.sample(2_000, stream("ring")).norm(dim=1)
        far.append(float((radius - 1).abs().mean()))
    assert far[1] < 0.5 * far[0]


@pytest.mark.parametrize("shape", [(), (8, 8), (1, 6, 8), (1, 8, 30), (0, 8, 8), (1, 0, 8)])
def test_convolutions_need_multiples_of_four(shape):
    """Two strides of two, and something to look at."""
    for build in (Dcgan(4).generator, Dcgan(4).encoder):
        arguments = (5, shape) if build.__name__ == "generator" else (shape, 5)
        with pytest.raises(UsageError, match=r"multiples of 4, got examples of shape \["):
            build(*arguments)

"""What holds for every recipe and for every protocol: on a small ring, in six steps.

A recipe whose `known_issue` names one of these laws is a strict xfail of it.
"""

import hashlib
import json
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture
from bench.errors import UsageError
from bench.randomness import forked, stream
from bench.trees import load_tree, save_tree
from generative import PROTOCOLS, RECIPES, DensitySampler, Diverged, Loss, Training

# 150 points: the fifth batch of 32 crosses the end of the first epoch.
RING = replace(DATASETS["ring8@pacgan"].part, training_points=150)
EASY = Mixture(
    "easy",
    np.array([[-1.0, 0.0], [1.0, 0.5], [0.0, -1.0]]),
    np.array([[0.09, 0.04], [0.06, 0.09], [0.09, 0.09]]),
    np.array([1.0, 2.0, 1.0]),
    training_points=3_000,
)
TRAINING = Training(protocol="plane", steps=6, batch=32)
GANS = [name for name in RECIPES if "protocol" in RECIPES[name].part.relevant(TRAINING)]


def pytest_generate_tests(metafunc):
    """Enrol every registered recipe, in the laws of GANs those that follow a protocol."""
    for fixture, names in (("recipe", list(RECIPES)), ("gan", GANS)):
        if fixture in metafunc.fixturenames:
            law = metafunc.function.__name__
            metafunc.parametrize(fixture, [_param(RECIPES[name], law) for name in names])


def _param(entry, law):
    issue = entry.facts.known_issue
    marks = [pytest.mark.xfail(reason=issue, strict=True)] if law in issue else []
    return pytest.param(entry.part, id=entry.name, marks=marks)


@pytest.fixture
def digest(tmp_path):
    """The sha256 of a tree's file: equal trees have equal files, bit for bit."""

    def compute(tree):
        save_tree(tmp_path / "digested", tree)
        return hashlib.sha256((tmp_path / "digested").read_bytes()).hexdigest()

    return compute


def _begin(recipe, training=TRAINING, data=RING, seed=0):
    """A trainer, its data and its state before the first step. Seeds the global generator."""
    source = data.source(0)
    trainer = recipe.trainer(training, source.shape)
    torch.manual_seed(seed)
    return trainer, source, trainer.start(source, stream("laws", seed))


def _trained(recipe, training=TRAINING, data=RING, seed=0):
    """A trainer, its data and the finished model."""
    with forked(seed):
        trainer, source, state = _begin(recipe, training, data, seed)
        return trainer, source, trainer.finish(trainer.advance(state, trainer.steps))


def _outcome(trainer, state):
    """All there is to know of a state: its tree, and samples of the model so far."""
    return [trainer.pack(state), trainer.finish(state).sample(50, stream("outcome"))]


def _straight(recipe, training=TRAINING):
    with forked(0):
        trainer, _, state = _begin(recipe, training)
        return _outcome(trainer, trainer.advance(state, 6))


def _resumed(recipe, path, stop, training=TRAINING):
    """Six steps, cut off after some of them and taken up by another process's trainer."""
    with forked(0):
        trainer, _, state = _begin(recipe, training)
        save_tree(path, trainer.pack(trainer.advance(state, stop)))
    with forked(1):
        source = RING.source(0)
        trainer = recipe.trainer(training, source.shape)
        state = trainer.unpack(source, load_tree(path))
        return _outcome(trainer, trainer.advance(state, 6 - stop))


def test_every_known_issue_names_a_law():
    """An issue that names no law would exempt a recipe from nothing, or from everything."""
    laws = [name for name in globals() if name.startswith("test_")]
    issues = [entry.facts.known_issue for entry in RECIPES.entries() if entry.facts.known_issue]
    assert all(any(law in issue for law in laws) for issue in issues)


def test_two_strides_are_one(recipe, digest):
    """Two steps and four more are six, bit for bit."""
    with forked(0):
        trainer, _, state = _begin(recipe)
        parts = _outcome(trainer, trainer.advance(trainer.advance(state, 2), 4))
    assert digest(parts) == digest(_straight(recipe))


@pytest.mark.parametrize("stop", [0, 3, 6])
def test_resuming_is_never_having_stopped(recipe, digest, tmp_path, stop):
    """A packed state, written, read and unpacked, goes on bit for bit."""
    resumed = _resumed(recipe, tmp_path / "state", stop)
    assert digest(resumed) == digest(_straight(recipe))


def test_a_look_on_the_way_changes_nothing(recipe, digest):
    """Finishing, sampling and packing leave the training as it was, and it leaves them."""
    with forked(0):
        trainer, _, state = _begin(recipe)
        state = trainer.advance(state, 3)
        early = trainer.finish(state)
        before = early.sample(50, stream("look"))
        packed = digest(trainer.pack(state))
        assert digest(trainer.pack(state)) == packed
        looked = _outcome(trainer, trainer.advance(state, 3))
    assert digest(looked) == digest(_straight(recipe))
    assert torch.equal(early.sample(50, stream("look")), before)


def test_a_model_is_its_tensors(recipe, tmp_path):
    """A model restored from a file of its tensors draws the same samples."""
    trainer, _, fitted = _trained(recipe)
    save_tree(tmp_path / "model", fitted.tensors())
    with forked(1):
        restored = trainer.restore(RING.source(0), load_tree(tmp_path / "model"))
    assert torch.equal(fitted.sample(99, stream("samples")), restored.sample(99, stream("samples")))


@pytest.mark.parametrize("n", [1, 1_000, 40_000])
def test_samples_have_the_shape_of_the_data(recipe, n):
    """As many as were asked for, float32, finite, without a gradient, and not all the same."""
    _, source, fitted = _trained(recipe)
    samples = fitted.sample(n, stream("samples"))
    assert samples.shape == (n, *source.shape)
    assert samples.dtype == torch.float32
    assert samples.isfinite().all()
    assert not samples.requires_grad
    assert len(samples.unique(dim=0)) > 0.9 * n


def test_samples_depend_on_the_generator_alone(recipe):
    """Not on the global one, which they leave alone, nor on what was drawn before."""
    _, _, fitted = _trained(recipe)
    with forked(0):
        first = fitted.sample(20, stream("a"))
        other = fitted.sample(20, stream("b"))
        torch.manual_seed(5)
        untouched = torch.get_rng_state()
        again = fitted.sample(20, stream("a"))
        assert torch.equal(torch.get_rng_state(), untouched)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_training_depends_on_its_seeds_alone(recipe, digest):
    """Same seeds, same model; where the seed matters, it is the trainer's own."""
    _, _, first = _trained(recipe)
    _, _, again = _trained(recipe)
    assert digest(first.tensors()) == digest(again.tensors())


def test_relevant_settings_name_the_training(recipe):
    """They are settings a training has, resolved, as JSON can hold them."""
    relevant = recipe.relevant(TRAINING)
    assert set(relevant) <= {field.name for field in fields(Training)}
    assert json.loads(json.dumps(relevant)) == relevant
    assert None not in relevant.values()
    assert recipe.relevant(Training(**{"protocol": "plane", **relevant})) == relevant
    assert recipe.trainer(TRAINING, (2,)).steps == relevant.get("steps", 1)


def test_identity_and_forecast(recipe):
    """The modules that make it are loaded, and its cost is a number of seconds."""
    assert set(recipe.modules(TRAINING)) <= set(sys.modules)
    assert 0 < recipe.seconds(TRAINING) < 3600


def _plane():
    """A grid of points [n, 2] and the area of its cells, wide and fine enough for `EASY`."""
    ticks = np.linspace(-5, 5, 401)
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    return points, (ticks[1] - ticks[0]) ** 2


def _density(recipe):
    """A model trained on `EASY`, if it has a density."""
    _, _, fitted = _trained(recipe, data=EASY)
    if not isinstance(fitted, DensitySampler):
        pytest.skip("its samples have no known density")
    return fitted


def test_a_density_integrates_to_one(recipe):
    """By quadrature over the plane."""
    points, cell = _plane()
    assert np.exp(_density(recipe).log_prob(points)).sum() * cell == pytest.approx(1, abs=1e-6)


def test_samples_follow_their_density(recipe):
    """The mean log density of samples is that of the density itself, within 4 errors."""
    fitted, (points, cell) = _density(recipe), _plane()
    log_prob = fitted.log_prob(points)
    wanted = (np.exp(log_prob) * log_prob).sum() * cell
    drawn = fitted.log_prob(fitted.sample(20_000, stream("density")).numpy())
    assert drawn.mean() == pytest.approx(wanted, abs=4 * drawn.std() / np.sqrt(20_000))


def test_the_oracle_is_the_data():
    """Its samples are fresh data, its density the true one."""
    _, source, fitted = _trained(RECIPES["oracle"].part, data=EASY)
    samples = fitted.sample(100, stream("oracle"))
    assert torch.equal(samples, source.fresh(100, stream("oracle")))
    points = samples.numpy()
    np.testing.assert_array_equal(fitted.log_prob(points), EASY.log_prob(points))


def test_noise_fills_the_box_of_the_data():
    """Uniformly, from corner to corner."""
    _, source, fitted = _trained(RECIPES["noise"].part, data=EASY)
    low, high = source.training.amin(0), source.training.amax(0)
    unit = (fitted.sample(50_000, stream("noise")) - low) / (high - low)
    quarters = torch.histc(unit, 4, 0, 1) / unit.numel()
    torch.testing.assert_close(quarters, torch.full((4,), 0.25), rtol=0, atol=0.01)
    assert (unit.amin(0) >= 0).all()
    assert (unit.amax(0) <= 1).all()


def test_maximum_likelihood_has_the_moments_of_the_data():
    """One Gaussian has the mean and the covariance (over N) of the training set."""
    _, source, fitted = _trained(RECIPES["one-gaussian"].part, data=EASY)
    points, moments = source.training.double(), fitted.tensors()
    torch.testing.assert_close(moments["means"][0], points.mean(0))
    covariance = torch.cov(points.T, correction=0)
    torch.testing.assert_close(moments["covariances"][0], covariance, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["gmm", "gmm-bic"])
def test_mixtures_find_the_modes(name):
    """By EM on an easy mixture: three components, near the true centres."""
    _, _, fitted = _trained(RECIPES[name].part, data=EASY)
    means = fitted.tensors()["means"].numpy()
    gaps = np.linalg.norm(EASY.centres[:, None] - means[None], axis=2)
    assert means.shape == (3, 2)
    assert gaps.min(axis=1).max() < 0.1


@pytest.mark.parametrize("rate", [1e12, 1e30])
def test_a_training_that_blows_up_diverges(gan, rate):
    """An absurd learning rate raises within one advance, and the message says where."""
    with forked(0):
        trainer, _, state = _begin(gan, replace(TRAINING, generator_lr=rate))
        with pytest.raises(Diverged, match=r"(nan|inf|not finite) at step 6"):
            trainer.advance(state, 6)


def test_a_weight_that_is_not_finite_diverges(gan):
    """A step that breaks the weights is noticed at once, though its loss was still finite."""
    with forked(0):
        trainer, _, state = _begin(gan, replace(TRAINING, generator_lr=float("inf")))
        with pytest.raises(Diverged, match=r"generator .* is not finite at step 1"):
            trainer.advance(state, 1)


class Infinite(Loss):
    """Infinite, and flat: weights stay as they are."""

    def critic(self, real, fake):
        return 0 * real + float("inf")

    def generator(self, real, fake):
        return 0 * fake + float("inf")


def test_a_loss_that_is_not_finite_diverges(gan):
    """Even where it leaves every weight finite."""
    with forked(0):
        trainer, _, state = _begin(gan)
        with pytest.raises(Diverged, match="the loss is inf at step 2"):
            replace(trainer, loss=Infinite()).advance(state, 2)


def test_a_broken_state_diverges(gan):
    """One weight of either player that is not a number is noticed, wherever it is."""
    for player in ("generator", "critic"):
        with forked(0):
            trainer, source, state = _begin(gan)
            tree = trainer.pack(trainer.advance(state, 1))
            next(iter(tree[player].values())).view(-1)[0] = float("nan")
            with pytest.raises(Diverged, match="at step 2"):
                trainer.advance(trainer.unpack(source, tree), 1)


def test_every_setting_counts(gan, digest):
    """Each setting that a GAN declares relevant changes what is trained, and its name."""
    changes = {"steps": 7, "batch": 31, "critic_steps": 2, "generator_lr": 2e-3, "critic_lr": 2e-3}
    changes["protocol"] = "unrolled-notebook"
    base, relevant = digest(_trained(gan)[2].tensors()), gan.relevant(TRAINING)
    assert set(relevant) == set(changes)
    for name, value in changes.items():
        changed = replace(TRAINING, **{name: value})
        assert gan.relevant(changed) != relevant, name
        assert digest(_trained(gan, changed)[2].tensors()) != base, name


def test_a_gan_depends_on_its_seed(gan, digest):
    """Another seed, another model."""
    assert digest(_trained(gan, seed=0)[2].tensors()) != digest(_trained(gan, seed=1)[2].tensors())


def test_an_unknown_protocol_is_answered_with_the_nearest(gan):
    """Whatever is asked of the recipe."""
    for ask in (gan.relevant, gan.modules, gan.seconds, lambda t: gan.trainer(t, (2,))):
        with pytest.raises(UsageError, match="unknown protocol 'plain': did you mean 'plane'"):
            ask(Training(protocol="plain"))


@pytest.mark.parametrize("name", ["gan", "nsgan", "rsgan"])
def test_a_training_moves_towards_the_data(name):
    """After 300 steps samples lie nearer to the ring than those of an untrained generator."""
    far = []
    for steps in (1, 300):
        _, _, fitted = _trained(RECIPES[name].part, Training("plane", steps=steps))
        radius = fitted.sample(2_000, stream("ring")).norm(dim=1)
        far.append(float((radius - 1).abs().mean()))
    assert far[1] < 0.5 * far[0]


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@pytest.mark.parametrize("name", GANS[:1])
def test_every_protocol_trains_and_resumes(protocol, name, digest, tmp_path):
    """Networks, optimisers, batch norm: all of it stops and goes on bit for bit."""
    recipe, training = RECIPES[name].part, Training(protocol, steps=6, batch=16)
    straight = _straight(recipe, training)
    assert straight[1].shape == (50, 2)
    assert straight[1].isfinite().all()
    assert digest(_resumed(recipe, tmp_path / "state", 3, training)) == digest(straight)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@pytest.mark.parametrize("name", GANS[:1])
def test_sampling_is_evaluation(protocol, name, digest):
    """Batch norm uses its running statistics: one sample can be had, and none moves them."""
    _, _, fitted = _trained(RECIPES[name].part, Training(protocol, steps=4, batch=16))
    before = digest(fitted.tensors())
    assert fitted.sample(1, stream("one")).isfinite().all()
    fitted.sample(500, stream("many"))
    assert digest(fitted.tensors()) == before


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 4)])
def test_every_protocol_fits_the_shape_of_the_data(protocol, shape):
    """The generator's samples have it, and the critic gives one logit for each."""
    part = PROTOCOLS[protocol].part
    size = int(np.prod(shape))
    generator, critic = part.generator.build(part.latent, size), part.critic.build(size, 1)
    assert critic(generator(torch.randn(5, part.latent))).shape == (5, 1)

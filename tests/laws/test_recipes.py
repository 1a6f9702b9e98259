"""What holds for every recipe and for every protocol: on a small ring and, where a recipe can do
images, on stacks of two digits; in six steps.

A recipe whose `known_issue` names one of these laws is a strict xfail of it.
"""

import hashlib
import json
import sys
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.trees import load_tree, save_tree
from bench.datasets import DATASETS, Dataset, stacks
from bench.datasets.mixtures import Mixture
from generative import (
    CONSTRAINTS,
    PENALTIES,
    PROTOCOLS,
    RECIPES,
    DensitySampler,
    Diverged,
    Loss,
    Training,
)
from generative.networks import Dcgan, Mlp, critic_of
from generative.trainers.encoding import Objective

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
SAMPLERS = [name for name in RECIPES if not RECIPES[name].facts.translates]
OF_POINTS = [name for name in SAMPLERS if not RECIPES[name].facts.images_only]
OF_IMAGES = [name for name in SAMPLERS if not RECIPES[name].facts.points_only]
GANS = [name for name in OF_POINTS if "critic_steps" in RECIPES[name].part.relevant(TRAINING)]
LEARNERS = [name for name in OF_POINTS if "steps" in RECIPES[name].part.relevant(TRAINING)]
FOLLOWERS = [name for name in OF_POINTS if "protocol" in RECIPES[name].part.relevant(TRAINING)]


@dataclass(frozen=True)
class Place:
    """What a law is tried on: data, and how long to train."""

    data: Dataset
    training: Training


PLANE = Place(RING, TRAINING)
IMAGES = Place(DATASETS["stack2@optdigits"].part, Training("small-dcgan", steps=6, batch=8))
LABELLED = Place(DATASETS["optdigits"].part, Training("small-dcgan", steps=6, batch=8))


def pytest_generate_tests(metafunc):
    """Enrol every registered recipe: in the laws of GANs those with a critic, in those of learners
    what trains step by step, in those of followers what reads the protocol. A law that names a
    place is tried on points and, with all that can do images, on images.
    """
    law, wanted = metafunc.function.__name__, metafunc.fixturenames
    if "place" in wanted:
        cases = [(name, PLANE, "points") for name in OF_POINTS]
        for name in OF_IMAGES:
            place = LABELLED if RECIPES[name].facts.labelled else IMAGES
            cases.append((name, place, "images"))
        cases = [_param(RECIPES[name], law, place, kind) for name, place, kind in cases]
        metafunc.parametrize(("recipe", "place"), cases)
        return
    groups = {"recipe": OF_POINTS, "gan": GANS, "learner": LEARNERS, "follower": FOLLOWERS}
    for fixture in groups.keys() & set(wanted):
        metafunc.parametrize(fixture, [_param(RECIPES[name], law) for name in groups[fixture]])


def _param(entry, law, *more):
    """A case, with an id: the recipe, and what else it is tried on, the last being its name."""
    issue = entry.facts.known_issue
    marks = [pytest.mark.xfail(reason=issue, strict=True)] if law in issue else []
    name = "-".join([entry.name, *more[1:]])
    return pytest.param(entry.part, *more[:1], id=name, marks=marks)


@pytest.fixture(autouse=True, scope="module")
def _few_stacks():
    """What estimators get of the images: 2,048 stacks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacks, "ESTIMATOR_VALUES", 2**18)
        yield


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """The sha256 of a tree's file: equal trees have equal files, bit for bit."""

    def compute(tree):
        save_tree(path, tree)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    path = tmp_path_factory.mktemp("digest") / "digested"
    return compute


@pytest.fixture(scope="module")
def uninterrupted(digest):
    """The digest of six steps in one go, computed once for each recipe and place."""

    def compute(recipe, place):
        key = id(recipe), id(place)
        if key not in known:
            known[key] = digest(_straight(recipe, place))
        return known[key]

    known = {}
    return compute


def _begin(recipe, place=PLANE, seed=0):
    """A trainer, its data and its state before the first step. Seeds the global generator."""
    source = place.data.source(0)
    trainer = recipe.trainer(place.training, source.shape)
    torch.manual_seed(seed)
    return trainer, source, trainer.start(source, stream("laws", seed))


def _trained(recipe, place=PLANE, seed=0):
    """A trainer, its data and the finished model."""
    with forked(seed):
        trainer, source, state = _begin(recipe, place, seed)
        return trainer, source, trainer.finish(trainer.advance(state, trainer.steps))


def _outcome(trainer, state):
    """All there is to know of a state: its tree, and samples of the model so far."""
    return [trainer.pack(state), trainer.finish(state).sample(50, stream("outcome"))]


def _straight(recipe, place=PLANE):
    with forked(0):
        trainer, _, state = _begin(recipe, place)
        return _outcome(trainer, trainer.advance(state, 6))


def _resumed(recipe, path, stop, place=PLANE):
    """Six steps, cut off after some of them and taken up by another process's trainer."""
    with forked(0):
        trainer, _, state = _begin(recipe, place)
        save_tree(path, trainer.pack(trainer.advance(state, stop)))
    with forked(1):
        source = place.data.source(0)
        trainer = recipe.trainer(place.training, source.shape)
        state = trainer.unpack(source, load_tree(path))
        return _outcome(trainer, trainer.advance(state, 6 - stop))


def _changed(**settings):
    """The plane with other settings of the training."""
    return replace(PLANE, training=replace(TRAINING, **settings))


def test_every_known_issue_names_a_law():
    """An issue that names no law would exempt a recipe from nothing, or from everything."""
    laws = [name for name in globals() if name.startswith("test_")]
    issues = [entry.facts.known_issue for entry in RECIPES.entries() if entry.facts.known_issue]
    assert all(any(law in issue for law in laws) for issue in issues)


def test_two_strides_are_one(recipe, place, digest, uninterrupted):
    """Two steps and four more are six, bit for bit."""
    with forked(0):
        trainer, _, state = _begin(recipe, place)
        parts = _outcome(trainer, trainer.advance(trainer.advance(state, 2), 4))
    assert digest(parts) == uninterrupted(recipe, place)


def test_resuming_is_never_having_stopped(recipe, place, digest, uninterrupted, tmp_path):
    """A packed state, written, read and unpacked, goes on bit for bit."""
    resumed = _resumed(recipe, tmp_path / "state", 3, place)
    assert digest(resumed) == uninterrupted(recipe, place)


@pytest.mark.parametrize("stop", [0, 6])
def test_resuming_at_either_end(recipe, digest, uninterrupted, tmp_path, stop):
    """Before the first step and after the last, too."""
    resumed = _resumed(recipe, tmp_path / "state", stop)
    assert digest(resumed) == uninterrupted(recipe, PLANE)


def test_a_look_on_the_way_changes_nothing(recipe, place, digest, uninterrupted):
    """Finishing, sampling and packing leave the training as it was, and it leaves them."""
    with forked(0):
        trainer, _, state = _begin(recipe, place)
        state = trainer.advance(state, 3)
        early = trainer.finish(state)
        before = early.sample(50, stream("look"))
        packed = digest(trainer.pack(state))
        assert digest(trainer.pack(state)) == packed
        looked = _outcome(trainer, trainer.advance(state, 3))
    assert digest(looked) == uninterrupted(recipe, place)
    assert torch.equal(early.sample(50, stream("look")), before)


def test_a_model_is_its_tensors(recipe, place, tmp_path):
    """A model restored from a file of its tensors draws the same samples."""
    trainer, _, fitted = _trained(recipe, place)
    save_tree(tmp_path / "model", fitted.tensors())
    with forked(1):
        restored = trainer.restore(place.data.source(0), load_tree(tmp_path / "model"))
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


def test_images_are_in_their_box(recipe, place):
    """As the law above, and in [0, 1]; real ones of one digit are soon repeated."""
    _, source, fitted = _trained(recipe, place)
    for n in (1, 250, 2_500):
        samples = fitted.sample(n, stream("samples"))
        assert samples.shape == (n, *source.shape)
        assert samples.dtype == torch.float32
        assert samples.isfinite().all()
        assert not samples.requires_grad
        assert len(samples.unique(dim=0)) > 0.8 * min(n, 250)
        low, high = source.box or (-float("inf"), float("inf"))
        assert low <= samples.min() <= samples.max() <= high


def test_samples_depend_on_the_generator_alone(recipe, place):
    """Not on the global one, which they leave alone, nor on what was drawn before."""
    _, _, fitted = _trained(recipe, place)
    with forked(0):
        first = fitted.sample(20, stream("a"))
        other = fitted.sample(20, stream("b"))
        torch.manual_seed(5)
        untouched = torch.get_rng_state()
        again = fitted.sample(20, stream("a"))
        assert torch.equal(torch.get_rng_state(), untouched)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_training_depends_on_its_seeds_alone(recipe, place, digest):
    """Same seeds, same model; where the seed matters, it is the trainer's own."""
    _, _, first = _trained(recipe, place)
    _, _, again = _trained(recipe, place)
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
    _, _, fitted = _trained(recipe, Place(EASY, TRAINING))
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
    _, source, fitted = _trained(RECIPES["oracle"].part, Place(EASY, TRAINING))
    samples = fitted.sample(100, stream("oracle"))
    assert torch.equal(samples, source.fresh(100, stream("oracle")))
    points = samples.numpy()
    np.testing.assert_array_equal(fitted.log_prob(points), EASY.log_prob(points))


def test_noise_fills_the_box_of_the_data():
    """Uniformly, from corner to corner."""
    _, source, fitted = _trained(RECIPES["noise"].part, Place(EASY, TRAINING))
    low, high = source.training.amin(0), source.training.amax(0)
    unit = (fitted.sample(50_000, stream("noise")) - low) / (high - low)
    quarters = torch.histc(unit, 4, 0, 1) / unit.numel()
    torch.testing.assert_close(quarters, torch.full((4,), 0.25), rtol=0, atol=0.01)
    assert (unit.amin(0) >= 0).all()
    assert (unit.amax(0) <= 1).all()


def test_maximum_likelihood_has_the_moments_of_the_data():
    """One Gaussian has the mean and the covariance (over N) of the training set."""
    _, source, fitted = _trained(RECIPES["one-gaussian"].part, Place(EASY, TRAINING))
    points, moments = source.training.double(), fitted.tensors()
    torch.testing.assert_close(moments["means"][0], points.mean(0))
    covariance = torch.cov(points.T, correction=0)
    torch.testing.assert_close(moments["covariances"][0], covariance, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["gmm", "gmm-bic"])
def test_mixtures_find_the_modes(name):
    """By EM on an easy mixture: three components, near the true centres."""
    _, _, fitted = _trained(RECIPES[name].part, Place(EASY, TRAINING))
    means = fitted.tensors()["means"].numpy()
    gaps = np.linalg.norm(EASY.centres[:, None] - means[None], axis=2)
    assert means.shape == (3, 2)
    assert gaps.min(axis=1).max() < 0.1


@pytest.mark.parametrize("rate", [1e12, 1e30])
def test_a_training_that_blows_up_diverges(learner, rate):
    """An absurd learning rate raises within one advance, and the message says where."""
    with forked(0):
        trainer, _, state = _begin(learner, _changed(generator_lr=rate))
        with pytest.raises(Diverged, match=r"(nan|inf|not finite) at step 6"):
            trainer.advance(state, 6)


def test_a_weight_that_is_not_finite_diverges(learner):
    """A step that breaks the weights is noticed at once, though its loss was still finite."""
    with forked(0):
        trainer, _, state = _begin(learner, _changed(generator_lr=float("inf")))
        with pytest.raises(Diverged, match=r"(generator|coder).* is not finite at step 1"):
            trainer.advance(state, 1)


class Infinite(Loss):
    """Infinite, and flat: weights stay as they are."""

    def critic(self, real, fake):
        return 0 * (real + fake) + float("inf")

    def generator(self, real, fake):
        return 0 * fake + float("inf")


class InfiniteObjective(Objective):
    """The same for models that encode and decode."""

    outputs = 1

    def loss(self, coder, x, rng, progress):
        return 0 * coder.decoder(coder.encoder(x)).flatten(1).sum(1) + float("inf")

    def settle(self, coder, data):
        raise NotImplementedError

    def encode(self, coder, x):
        raise NotImplementedError

    def fitted(self, coder, box):
        raise NotImplementedError


def test_a_loss_that_is_not_finite_diverges(learner):
    """Even where it leaves every weight finite."""
    engine = (
        {"loss": Infinite()} if hasattr(learner, "loss") else {"objective": InfiniteObjective()}
    )
    source = RING.source(0)
    with forked(0):
        trainer = replace(learner.trainer(TRAINING, source.shape), **engine)
        state = trainer.start(source, stream("laws", 0))
        with pytest.raises(Diverged, match="the loss is inf at step 2"):
            trainer.advance(state, 2)


def test_a_broken_state_diverges(learner):
    """One weight of any network that is not a number is noticed, wherever it is."""
    with forked(0):
        trainer, source, state = _begin(learner)
        networks = {"generator", "critic", "coder"} & trainer.pack(state).keys()
    assert networks
    for network in networks:
        with forked(0):
            trainer, source, state = _begin(learner)
            tree = trainer.pack(trainer.advance(state, 1))
            weights = next(value for name, value in tree[network].items() if "weight" in name)
            weights.view(-1)[0] = float("nan")
            with pytest.raises(Diverged, match="at step 2"):
                trainer.advance(trainer.unpack(source, tree), 1)


CHANGES = {
    "protocol": "unrolled-notebook",
    "steps": 7,
    "batch": 31,
    "critic_steps": 2,
    "generator_lr": 2e-3,
    "critic_lr": 2e-3,
    "penalty_weight": 3.0,
    "latent": 3,
    "l1_weight": 3.0,
    "cycle_weight": 3.0,
    "identity_weight": 3.0,
}
EXECUTION = {"channels_last": True, "precision": "bfloat16", "compiled": True}
"""How a step is computed: tests/models/test_execution.py has these."""


def test_the_changes_are_all_the_settings():
    """A setting that trainings get needs its change here."""
    assert {*CHANGES, *EXECUTION} == {field.name for field in fields(Training)}


def test_every_setting_counts(follower, digest):
    """Each setting that is declared relevant changes what is trained, and its name."""
    base, relevant = digest(_trained(follower)[2].tensors()), follower.relevant(TRAINING)
    for name in relevant:
        place = _changed(**{name: CHANGES[name]})
        assert follower.relevant(place.training) != relevant, name
        assert digest(_trained(follower, place)[2].tensors()) != base, name


def test_other_settings_count_for_nothing(recipe, digest):
    """All that are not declared relevant, changed at once, change nothing."""
    relevant = recipe.relevant(TRAINING)
    others = {name: value for name, value in CHANGES.items() if name not in relevant}
    place = _changed(**others)
    assert recipe.relevant(place.training) == relevant
    fitted = _trained(recipe, place)[2]
    assert digest(fitted.tensors()) == digest(_trained(recipe)[2].tensors())


def test_the_settings_of_a_gan():
    """All there are; the penalty's weight where there is a penalty, by default its paper's."""
    for name in GANS:
        relevant, parts = RECIPES[name].part.relevant(TRAINING), RECIPES[name].facts.parts
        penalties = [part for part in parts if part in PENALTIES]
        others = {"l1_weight", "cycle_weight", "identity_weight"}
        others |= set() if penalties else {"penalty_weight"}
        assert set(relevant) == set(CHANGES) - others, name
        for penalty in penalties:
            assert relevant["penalty_weight"] == PENALTIES[penalty].facts.weight, name


def test_a_recipes_own_settings_are_its_papers():
    """The Wasserstein GANs have five critic steps, whatever the protocol; a training may ask for
    another number, and all other GANs have the protocol's.
    """
    for name in GANS:
        own = 5 if "wasserstein" in RECIPES[name].facts.parts else 1
        assert RECIPES[name].part.relevant(TRAINING)["critic_steps"] == own, name
        changed = replace(TRAINING, critic_steps=3)
        assert RECIPES[name].part.relevant(changed)["critic_steps"] == 3, name


class Counted(Loss):
    """A loss that counts its calls."""

    def __init__(self, loss):
        self.loss, self.critics, self.generators = loss, 0, 0

    def critic(self, real, fake):
        self.critics += 1
        return self.loss.critic(real, fake)

    def generator(self, real, fake):
        self.generators += 1
        return self.loss.generator(real, fake)


@pytest.mark.parametrize("critic_steps", [None, 2])
def test_the_critic_makes_its_steps(gan, critic_steps):
    """As many for each of the generator's as the settings say."""
    place = _changed(critic_steps=critic_steps)
    with forked(0):
        trainer, _, state = _begin(gan, place)
        counted = Counted(trainer.loss)
        replace(trainer, loss=counted).advance(state, 3)
    assert counted.generators == 3
    assert counted.critics == 3 * gan.relevant(place.training)["critic_steps"]


def test_momentum_is_that_of_the_recipe_or_the_protocol(gan):
    """Of both players alike."""
    with forked(0):
        _, _, state = _begin(gan)
    own = PROTOCOLS["plane"].part.critic_adam.betas[0] if gan.momentum is None else gan.momentum
    for adam in (state.generator_adam, state.critic_adam):
        assert [group["betas"] for group in adam.param_groups] == [(own, 0.999)]


def test_a_constraint_holds_after_every_step():
    """There is nothing left to project."""
    for name in GANS:
        recipe = RECIPES[name].part
        if recipe.constraint is None:
            continue
        with forked(0):
            trainer, _, state = _begin(recipe)
            state = trainer.advance(state, 2)
        before = [weight.detach().clone() for weight in state.critic.parameters()]
        CONSTRAINTS[recipe.constraint].part.project(state.critic)
        assert all(map(torch.equal, before, state.critic.parameters())), name


def test_the_parts_of_a_gan_are_those_it_trains_with():
    """What is cited is what is used."""
    for name in GANS:
        recipe = RECIPES[name].part
        used = [part for part in (recipe.loss, recipe.penalty, recipe.constraint) if part]
        assert sorted(RECIPES[name].facts.parts) == sorted(used), name


def test_a_penalty_without_weight_is_none(digest):
    """R1, which draws nothing at random, with weight 0 is the plain non-saturating GAN."""
    penalised, plain = RECIPES["r1gan"].part, RECIPES["nsgan"].part
    weights = [
        _trained(recipe, place)[2].tensors()
        for recipe, place in ((penalised, _changed(penalty_weight=0.0)), (plain, PLANE))
    ]
    assert digest(weights[0]) == digest(weights[1])


def test_only_mixing_critics_have_batch_norm(gan):
    """A penalty of single examples and a constraint on layers do without; the generator keeps
    its own.
    """
    penalty = gan.penalty is not None and PENALTIES[gan.penalty].facts.per_sample
    constraint = gan.constraint is not None and CONSTRAINTS[gan.constraint].facts.per_layer
    with forked(0):
        _, _, state = _begin(gan, IMAGES)

    def normed(network):
        return any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())

    assert normed(state.generator)
    assert normed(state.critic) == (not penalty and not constraint)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.995])
def test_the_model_is_the_average_of_the_generators(decay):
    """Of all so far with equal weights, as long as they are few; of the last ones, later."""
    recipe = RECIPES["nsgan"].part
    with forked(0):
        trainer, source, _ = _begin(recipe, IMAGES)
        trainer = replace(trainer, protocol=replace(trainer.protocol, average=decay))
        state = trainer.start(source, stream("laws", 0))
        followed = {}
        for step in range(1, 7):
            state = trainer.advance(state, 1)
            pace = max(1 - decay, 1 / step)
            for name, new in state.generator.state_dict().items():
                old = followed.get(name, torch.zeros_like(new))
                followed[name] = (1 - pace) * old + pace * new
    model = trainer.finish(state).tensors()
    for name, value in model.items():
        assert name in followed or name.startswith("critic.")
        if value.is_floating_point() and name in followed:
            torch.testing.assert_close(value, followed[name], rtol=1e-5, atol=1e-6)


def test_a_learner_depends_on_its_seed(learner, digest):
    """Another seed, another model."""
    first, other = (_trained(learner, seed=seed)[2].tensors() for seed in (0, 1))
    assert digest(first) != digest(other)


def test_an_unknown_protocol_is_answered_with_the_nearest(learner):
    """Whatever is asked of the recipe."""
    for ask in (learner.relevant, learner.modules, learner.seconds, _trainer_of(learner)):
        with pytest.raises(UsageError, match="unknown protocol 'plain': did you mean 'plane'"):
            ask(Training(protocol="plain"))


def test_no_follower_follows_an_unknown_protocol(follower):
    """Neither its identity nor its trainer can be had."""
    for ask in (follower.modules, _trainer_of(follower)):
        with pytest.raises(UsageError, match="unknown protocol 'plain': did you mean 'plane'"):
            ask(Training(protocol="plain"))


def _trainer_of(recipe):
    return lambda training: recipe.trainer(training, (2,))


def test_points_are_nothing_for_convolutions(follower):
    """The protocol for images says so, and what to do."""
    place = Place(RING, Training("small-dcgan", steps=1, batch=8))
    message = r"need images whose height and width are multiples of 4, got .* shape \[2\]: choose"
    with pytest.raises(UsageError, match=message):
        _trained(follower, place)


@pytest.mark.parametrize("name", ["gan", "nsgan", "rsgan", "autoencoder"])
def test_a_training_moves_towards_the_data(name):
    """After 300 steps samples lie nearer to the ring than those of an untrained generator."""
    far = []
    for steps in (1, 300):
        place = replace(PLANE, training=Training("plane", steps=steps))
        _, _, fitted = _trained(RECIPES[name].part, place)
        radius = fitted.sample(2_000, stream("ring")).norm(dim=1)
        far.append(float((radius - 1).abs().mean()))
    assert far[1] < 0.5 * far[0]


def _refusal(protocol, shape):
    """Why a protocol is not for data of a shape, by both players alike, or empty."""
    part, refusals = PROTOCOLS[protocol].part, []
    for build in (
        lambda: part.generator.generator(part.latent, shape),
        lambda: critic_of(part.critic, shape),
    ):
        try:
            with forked(0):
                build()
            refusals.append("")
        except UsageError as error:
            refusals.append(str(error))
    assert refusals[0] == refusals[1]
    return refusals[0]


def _place_of(protocol, steps):
    """A protocol where it belongs: on points, or on small or on larger images."""
    for data in (RING, IMAGES.data, DATASETS["stack2@mnist5k"].part):
        if not _refusal(protocol, data.source(0).shape):
            return Place(data, Training(protocol, steps=steps, batch=16))
    raise AssertionError(f"no data for {protocol}")


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@pytest.mark.parametrize("name", ["gan", "vae", "autoencoder"])
def test_every_protocol_trains_and_resumes(protocol, name, digest, tmp_path):
    """Networks, optimisers, batch norm: all of it stops and goes on bit for bit."""
    recipe, place = RECIPES[name].part, _place_of(protocol, 6)
    straight = _straight(recipe, place)
    assert straight[1].shape == (50, *place.data.source(0).shape)
    assert straight[1].isfinite().all()
    assert digest(_resumed(recipe, tmp_path / "state", 3, place)) == digest(straight)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@pytest.mark.parametrize("name", ["gan", "vae", "autoencoder"])
def test_sampling_is_evaluation(protocol, name, digest):
    """Batch norm uses its running statistics: one sample can be had, and none moves them."""
    _, _, fitted = _trained(RECIPES[name].part, _place_of(protocol, 4))
    before = digest(fitted.tensors())
    assert fitted.sample(1, stream("one")).isfinite().all()
    fitted.sample(500, stream("many"))
    assert digest(fitted.tensors()) == before


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@pytest.mark.parametrize("shape", [(1,), (3,), (1, 8, 8), (2, 4, 12), (3, 28, 28)])
def test_every_protocol_fits_the_shape_of_the_data(protocol, shape):
    """Samples have it, images are in [0, 1], and the critic gives one logit for each; or both
    players say what they expected and what to do.
    """
    if refusal := _refusal(protocol, shape):
        assert f"examples of shape {list(shape)}" in refusal
        assert refusal.endswith("choose another protocol, or images of another size")
        assert not isinstance(PROTOCOLS[protocol].part.generator, Mlp)
        return
    part = PROTOCOLS[protocol].part
    with forked(0):
        generator, critic = (
            part.generator.generator(part.latent, shape),
            critic_of(part.critic, shape),
        )
        samples = generator(3 * torch.randn(5, part.latent))
    assert samples.shape == (5, *shape)
    assert len(shape) == 1 or 0 <= samples.min() < samples.max() <= 1
    assert critic(samples).shape == (5,)
    assert part.critic.encoder(shape, 7)(samples).shape == (5, 7)


@pytest.mark.parametrize("shape", [(), (8, 8), (1, 6, 8), (1, 8, 30), (0, 8, 8), (1, 0, 8)])
def test_convolutions_need_multiples_of_four(shape):
    """Two strides of two, and something to look at."""
    for build in (Dcgan(4).generator, Dcgan(4).encoder):
        arguments = (5, shape) if build.__name__ == "generator" else (shape, 5)
        with pytest.raises(UsageError, match=r"multiples of 4, got examples of shape \["):
            build(*arguments)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_networks_say_whether_they_mix(protocol):
    """A network that mixes gives an example another output in other company; unmixed, it doesn't,
    and is a network of the same layers.
    """
    part, shape = PROTOCOLS[protocol].part, (1, 28, 28)
    examples = torch.rand(6, *shape, generator=stream("mixing"))
    for network in (part.critic, part.critic.unmixed(), part.generator, part.generator.unmixed()):
        with forked(0):
            encoder = network.encoder(shape, 3)
        for layer in encoder.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        alone = torch.allclose(encoder(examples)[:2], encoder(examples[:2]), atol=1e-5)
        assert alone == (not network.mixes)
        assert network.unmixed() == network.unmixed().unmixed()
        assert not network.unmixed().mixes

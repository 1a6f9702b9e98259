"""What holds for every recipe that translates: on two small domains, with tiny networks, in four
steps.

A recipe whose `known_issue` names one of these laws is a strict xfail of it.
"""

import copy
import hashlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import l1_loss, softplus

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.trees import dump, load_tree, save_tree
from bench.datasets import DATASETS
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled
from bench.datasets.pairs import Domains, Pairs
from generative import RECIPES, TRANSLATION_PROTOCOLS, Diverged, Loss, Training, Translator
from generative.trainers.cycle import Buffer, CycleTrainer
from generative.trainers.paired import PairedTrainer
from generative.trainers.translating import CHUNK
from generative.translators import Noise, PatchGan, Resnet, Unet

SIDE, PAIRED, UNPAIRED, HELD = 16, 7, (7, 9), CHUNK + 6
"""7 pairs: the fourth batch of 2 crosses the end of the first epoch. More held-out images than a
translator takes at once.
"""


def _images(seed, n, colour=True):
    """Smooth images uint8 [n, 16, 16, 3], or [n, 16, 16]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 4, 4, *([3] if colour else [])), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def _domains(colours=(True, True), sizes=(PAIRED, PAIRED), held=(HELD, HELD), truth=True):
    """Two domains; of pairs the second is the negative of the first, where both have colours."""
    first, second = (_images(seed, sizes[seed], colours[seed]) for seed in (0, 1))
    held_first, held_second = (_images(seed + 2, held[seed], colours[seed]) for seed in (0, 1))
    if truth and colours[0] == colours[1]:
        second, held_second = 255 - first, 255 - held_first
    return Domains(first, second, held_first, held_second, truth)


PAIRS = Pairs("pairs", lambda: COLOURED, True)
MIXED = Pairs("mixed", lambda: GREY_TO_COLOUR, True)
APART = Pairs("apart", lambda: WITHOUT_TRUTH, False)
COLOURED, GREY_TO_COLOUR = _domains(), _domains((False, True))
WITHOUT_TRUTH = _domains(sizes=UNPAIRED, held=(HELD, HELD - 4), truth=False)
LABELLED = Labelled(
    "labelled",
    lambda: Split(COLOURED.first, np.arange(PAIRED), COLOURED.held_first, np.arange(HELD)),
)

TRAINING = Training("", steps=4, batch=2)
TRANSLATORS = [entry for entry in RECIPES.entries() if entry.facts.translates]
LEARNERS = [entry for entry in TRANSLATORS if "steps" in entry.part.relevant(TRAINING)]
CONTESTED = [entry for entry in LEARNERS if "critic_lr" in entry.part.relevant(TRAINING)]
OF_PAIRS = [entry for entry in LEARNERS if entry.facts.paired]
OF_CYCLES = [entry for entry in LEARNERS if not entry.facts.paired]


def pytest_generate_tests(metafunc):
    """Enrol every registered recipe that translates: in the laws of learners what trains step by
    step, in those of contested ones what has a critic.
    """
    groups = {
        "recipe": TRANSLATORS,
        "learner": LEARNERS,
        "contested": CONTESTED,
        "of_pairs": OF_PAIRS,
        "of_cycles": OF_CYCLES,
        "unpaired": [entry for entry in TRANSLATORS if not entry.facts.paired],
    }
    for fixture in groups.keys() & set(metafunc.fixturenames):
        law = metafunc.function.__name__
        metafunc.parametrize(fixture, [_param(entry, law) for entry in groups[fixture]])


def _param(entry, law):
    issue = entry.facts.known_issue
    marks = [pytest.mark.xfail(reason=issue, strict=True)] if law in issue else []
    return pytest.param(entry.part, id=entry.name, marks=marks)


def _tiny(trainer):
    """The same trainer with networks of width 4 and room for three earlier images."""
    if not hasattr(trainer, "protocol"):
        return trainer
    old = trainer.protocol
    generator = (
        Unet(4, old.generator.noise, old.generator.norm)
        if isinstance(old.generator, Unet)
        else Resnet(4, 1, old.generator.norm, strides=1)
    )
    critic = PatchGan(4, 1, old.critic.norm)
    buffer = min(old.buffer, 3)
    return replace(
        trainer, protocol=replace(old, generator=generator, critic=critic, buffer=buffer)
    )


def _trainer(recipe, data=PAIRS, training=TRAINING):
    return _tiny(recipe.trainer(training, data.source(0).shape))


def _begin(recipe, data=PAIRS, seed=0, training=TRAINING):
    """A trainer, its data and its state before the first step. Seeds the global generator."""
    source, trainer = data.source(0), _trainer(recipe, data, training)
    torch.manual_seed(seed)
    return trainer, source, trainer.start(source, stream("laws", seed))


def _trained(recipe, data=PAIRS, seed=0, training=TRAINING):
    """A trainer, its data and the finished model."""
    with forked(seed):
        trainer, source, state = _begin(recipe, data, seed, training)
        return trainer, source, trainer.finish(trainer.advance(state, trainer.steps))


def _inputs(source, direction, n=HELD):
    """Held-out images of the domain that is translated."""
    held = source.held_first if direction == "forward" else source.held_second
    return held[:n]


def _translations(model, source, n=5):
    """In every direction that the model can do."""
    return {
        direction: model.translate(_inputs(source, direction, n), stream("outcome"), direction)
        for direction in model.directions
    }


def _outcome(trainer, state, source):
    """All there is to know of a state: its tree, and what the model so far makes of images."""
    return [trainer.pack(state), _translations(trainer.finish(state), source)]


def digest(tree):
    """The sha256 of a tree's bytes: equal trees have equal ones, bit for bit."""
    return hashlib.sha256(dump(tree)).hexdigest()


@pytest.fixture(scope="module")
def uninterrupted():
    """The digest of four steps in one go, computed once for each recipe."""

    def compute(recipe):
        if id(recipe) not in known:
            with forked(0):
                trainer, source, state = _begin(recipe)
                known[id(recipe)] = digest(_outcome(trainer, trainer.advance(state, 4), source))
        return known[id(recipe)]

    known = {}
    return compute


@pytest.fixture(scope="module")
def trained():
    """A recipe's data and model after four steps, trained once: for laws that only look."""

    def compute(recipe):
        if id(recipe) not in known:
            known[id(recipe)] = _trained(recipe)[1:]
        return known[id(recipe)]

    known = {}
    return compute


def test_all_translators_are_here():
    """The ablations of both papers, and what bounds them."""
    names = {entry.name for entry in TRANSLATORS}
    assert names >= {"pix2pix", "pix2pix-l1", "pix2pix-cgan", "pix2pix-gan"}
    assert names >= {"cyclegan", "cyclegan-gan", "cyclegan-cycle"}
    assert names >= {"truth", "identity", "mean-image"}
    assert {entry.name for entry in TRANSLATORS if entry.facts.paired} == {
        name for name in names if name.startswith("pix2pix")
    }


def test_two_strides_are_one(recipe, uninterrupted):
    """One step and three more are four, bit for bit."""
    with forked(0):
        trainer, source, state = _begin(recipe)
        state = trainer.advance(trainer.advance(state, 1), 3)
        parts = _outcome(trainer, state, source)
    assert digest(parts) == uninterrupted(recipe)


def _resumed(recipe, path, stop):
    """The digest of four steps, cut off after some of them and taken up by another process."""
    with forked(0):
        trainer, _, state = _begin(recipe)
        save_tree(path, trainer.pack(trainer.advance(state, stop)))
    with forked(1):
        source, trainer = PAIRS.source(0), _trainer(recipe)
        state = trainer.unpack(source, load_tree(path))
        return digest(_outcome(trainer, trainer.advance(state, 4 - stop), source))


def test_resuming_is_never_having_stopped(recipe, uninterrupted, tmp_path):
    """A packed state, written, read and unpacked, goes on bit for bit."""
    assert _resumed(recipe, tmp_path / "state", 2) == uninterrupted(recipe)


@pytest.mark.parametrize("stop", [0, 3, 4])
@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_resuming_at_either_end(name, uninterrupted, tmp_path, stop):
    """Before the first step and after the last, and where an epoch is about to end."""
    recipe = RECIPES[name].part
    assert _resumed(recipe, tmp_path / "state", stop) == uninterrupted(recipe)


def test_a_look_on_the_way_changes_nothing(recipe, uninterrupted):
    """Finishing, translating and packing leave the training as it was, and it leaves them."""
    with forked(0):
        trainer, source, state = _begin(recipe)
        state = trainer.advance(state, 2)
        early = trainer.finish(state)
        before = _translations(early, source)
        tree = trainer.pack(state)
        packed = digest(tree)
        assert digest(trainer.pack(state)) == packed
        looked = _outcome(trainer, trainer.advance(state, 2), source)
    assert digest(looked) == uninterrupted(recipe)
    assert digest(tree) == packed
    assert digest(_translations(early, source)) == digest(before)


def test_a_step_of_nothing_changes_nothing(learner):
    """Nor does it raise."""
    with forked(0):
        trainer, _, state = _begin(learner)
        before = digest(trainer.pack(state))
        assert digest(trainer.pack(trainer.advance(state, 0))) == before


def test_a_model_is_its_tensors(recipe, trained, tmp_path):
    """A model restored from a file of its tensors makes the same images."""
    source, fitted = trained(recipe)
    save_tree(tmp_path / "model", fitted.tensors())
    with forked(1):
        restored = _trainer(recipe).restore(PAIRS.source(0), load_tree(tmp_path / "model"))
    assert restored.directions == fitted.directions
    assert digest(_translations(restored, source)) == digest(_translations(fitted, source))


def test_weights_of_another_architecture_are_refused(learner):
    """Naming the first that does not fit."""
    _, _, fitted = _trained(learner, training=replace(TRAINING, steps=1))
    trainer = _trainer(learner)
    network = trainer.protocol.generator
    other = replace(
        trainer, protocol=replace(trainer.protocol, generator=replace(network, width=5))
    )
    with pytest.raises(UsageError, match="forward generator's weights are of another architecture"):
        other.restore(PAIRS.source(0), fitted.tensors())
    with pytest.raises(UsageError, match="forward generator's weights are of another architecture"):
        trainer.restore(PAIRS.source(0), {})


def test_a_training_depends_on_its_seeds_alone(recipe, trained):
    """Same seeds, same model."""
    assert digest(_trained(recipe)[2].tensors()) == digest(trained(recipe)[1].tensors())


def test_a_learner_depends_on_its_seed(learner, trained):
    """Another seed, another model."""
    assert digest(_trained(learner, seed=1)[2].tensors()) != digest(trained(learner)[1].tensors())


def test_learning_changes_every_weight(learner):
    """Of every generator; critics move where there is an adversary, and stand still elsewhere."""
    with forked(0):
        trainer, _, state = _begin(learner)
        networks = [state.generators, state.critics] if hasattr(state, "critics") else None
        generator, critic = networks or [state.generator, state.critic]
        before = [[w.detach().clone() for w in part.parameters()] for part in (generator, critic)]
        trainer.advance(state, 2)
    moved = [
        [not torch.equal(a, b) for a, b in zip(old, part.parameters(), strict=True)]
        for old, part in zip(before, (generator, critic), strict=True)
    ]
    assert all(moved[0])
    contested = "critic_lr" in learner.relevant(TRAINING)
    assert all(moved[1]) if contested else not any(moved[1])


@pytest.mark.parametrize("n", [1, 5, HELD])
def test_translations_are_images_of_the_other_domain(recipe, trained, n):
    """As many as came in, float32 in [0, 1], finite, without a gradient, ordinary tensors."""
    source, fitted = trained(recipe)
    assert isinstance(fitted, Translator)
    for direction in fitted.directions:
        x = _inputs(source, direction, n)
        kept = x.clone()
        made = fitted.translate(x, stream("made"), direction)
        shape = source.shape if direction == "forward" else source.first_shape
        assert made.shape == (n, *shape)
        assert made.dtype == torch.float32
        assert made.isfinite().all()
        assert 0 <= made.min() <= made.max() <= 1
        assert not made.requires_grad
        assert not made.is_inference()
        assert torch.equal(x, kept)


def test_grey_becomes_coloured_and_back(recipe):
    """Domains may differ in their channels."""
    _, source, fitted = _trained(recipe, MIXED, training=replace(TRAINING, steps=2))
    assert (source.first_shape, source.shape) == ((1, SIDE, SIDE), (3, SIDE, SIDE))
    for direction in fitted.directions:
        made = fitted.translate(_inputs(source, direction, 3), stream("made"), direction)
        assert made.shape[1] == (3 if direction == "forward" else 1)


def test_no_images_become_none(recipe, trained):
    """Nothing in, nothing out."""
    source, fitted = trained(recipe)
    for direction in fitted.directions:
        x = _inputs(source, direction, 0)
        assert fitted.translate(x, stream("none"), direction).shape == (0, *source.shape)


def test_translations_depend_on_the_generator_alone(recipe, trained):
    """Not on the global one, which they leave alone, nor on what was made before."""
    source, fitted = trained(recipe)
    for direction in fitted.directions:
        x = _inputs(source, direction, 6)
        with forked(0):
            first = fitted.translate(x, stream("a"), direction)
            fitted.translate(x, stream("b"), direction)
            torch.manual_seed(5)
            untouched = torch.get_rng_state()
            again = fitted.translate(x, stream("a"), direction)
            assert torch.equal(torch.get_rng_state(), untouched)
        assert torch.equal(first, again)


def test_noise_is_what_changes_a_translation(recipe, trained):
    """Another draw gives other images where the networks have noise, and only there; drawing goes
    on from where the generator stands.
    """
    source, fitted = trained(recipe)
    x, rng = _inputs(source, "forward", 6), stream("a")
    first, other = fitted.translate(x, rng), fitted.translate(x, rng)
    networks = getattr(fitted, "_networks", {}).values()
    noisy = any(isinstance(layer, Noise) for network in networks for layer in network.modules())
    assert torch.equal(first, other) != noisy


def test_translating_leaves_the_model_as_it_was(recipe, trained):
    """Its tensors, its mode and its gradients."""
    source, fitted = trained(recipe)
    before = digest(fitted.tensors())
    _translations(fitted, source)
    assert digest(fitted.tensors()) == before
    for network in getattr(fitted, "_networks", {}).values():
        assert not any(module.training for module in network.modules())
        assert all(weight.grad is None for weight in network.parameters())


def test_a_model_does_not_share_its_weights_with_the_training(learner):
    """The networks in training stay in training, and the model is its own."""
    with forked(0):
        trainer, _, state = _begin(learner)
        trainer.finish(state)
    own = state.generators if hasattr(state, "generators") else state.generator
    assert all(module.training for module in own.modules())


def test_nothing_of_the_batch_mates(recipe, trained):
    """A translation is the same in other company; without noise, alone too."""
    source, fitted = trained(recipe)
    if recipe is RECIPES["truth"].part:
        pytest.skip("it knows the held-out images in their order alone")
    noisy = not torch.equal(*(fitted.translate(source.held_first, stream(k)) for k in "ab"))
    for direction in fitted.directions:
        x = _inputs(source, direction)
        one, other = x[:3], torch.cat([x[:2], 1 - x[5:6]])
        made, again = (fitted.translate(part, stream("mates"), direction) for part in (one, other))
        torch.testing.assert_close(made[:2], again[:2], rtol=0, atol=1e-6)
        if not noisy:
            alone = fitted.translate(x[CHUNK + 1 : CHUNK + 2], stream("alone"), direction)
            every = fitted.translate(x, stream("every"), direction)
            torch.testing.assert_close(alone[0], every[CHUNK + 1], rtol=0, atol=1e-5)


def test_instance_norm_looks_at_the_image_itself(of_cycles, trained):
    """In use as in training: there are no statistics of the training set."""
    _, fitted = trained(of_cycles)
    for network in fitted._networks.values():
        norms = [layer for layer in network.modules() if isinstance(layer, nn.InstanceNorm2d)]
        assert norms
        assert not any(layer.track_running_stats for layer in norms)
        assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert not any("running" in name for name in fitted.tensors())


def test_paired_models_know_one_direction(of_pairs, trained):
    """Another is refused, by name."""
    source, fitted = trained(of_pairs)
    assert fitted.directions == ("forward",)
    with pytest.raises(UsageError, match=r"translates forward only, not backward$"):
        fitted.translate(source.held_second, stream("back"), "backward")


def test_other_models_know_both_directions(unpaired, trained):
    """From the first domain to the second, and back."""
    assert trained(unpaired)[1].directions == ("forward", "backward")


def test_paired_models_refuse_unpaired_data(of_pairs):
    """And say what can be trained instead."""
    source = APART.source(0)
    with forked(0), pytest.raises(UsageError, match=r"'apart' is unpaired.*train cyclegan"):
        _trainer(of_pairs, APART).start(source, stream("unpaired"))


def test_unpaired_domains_need_not_be_equally_large(unpaired):
    """As many images come out as went in; or the model says that it can't be had."""
    with forked(0):
        try:
            _, source, fitted = _trained(unpaired, APART)
        except UsageError:
            return
        for direction in fitted.directions:
            x = _inputs(source, direction)
            try:
                made = fitted.translate(x, stream("made"), direction)
            except UsageError:
                continue
            made_of, asked = len(made), len(x)
            assert made_of == asked


@pytest.mark.parametrize(
    "data", [LABELLED, DATASETS["ring8@pacgan"].part], ids=["images", "points"]
)
def test_one_domain_is_refused(recipe, data):
    """Labelled images and points have nothing to be translated into."""
    source, trainer = data.source(0), _trainer(recipe)
    with pytest.raises(UsageError, match="needs two domains of images, and these are one"):
        trainer.finish(trainer.start(source, stream("one")))


def test_images_of_another_size_are_refused(learner):
    """Where the networks can't do them, when the trainer is made; where the two domains differ,
    when it starts.
    """
    with pytest.raises(UsageError, match="bring them to another size"):
        learner.trainer(TRAINING, (3, 6, 6))
    large = replace(COLOURED, first=_images(0, PAIRED).repeat(2, 1).repeat(2, 2))
    large = replace(large, held_first=_images(2, HELD).repeat(2, 1).repeat(2, 2))
    data = Pairs("unequal", lambda: large, True)
    with pytest.raises(UsageError, match=r"got \[3, 32, 32\] to \[3, 16, 16\]"):
        _trainer(learner, data).start(data.source(0), stream("unequal"))


def test_making_a_trainer_draws_nothing(recipe):
    """Nor does asking for its identity."""
    with forked(0):
        before = torch.get_rng_state()
        recipe.trainer(TRAINING, (3, SIDE, SIDE))
        recipe.relevant(TRAINING)
        recipe.seconds(TRAINING)
        assert torch.equal(torch.get_rng_state(), before)


CHANGES = {
    "steps": 5,
    "batch": 3,
    "generator_lr": 2e-3,
    "critic_lr": 2e-3,
    "l1_weight": 3.0,
    "cycle_weight": 3.0,
    "identity_weight": 3.0,
}
OTHERS = {"critic_steps": 2, "penalty_weight": 3.0, "latent": 3}
"""Those that no translator reads."""


def _changed(recipe, name):
    """The training with another value of a setting."""
    if name != "protocol":
        return replace(TRAINING, **{name: CHANGES[name]})
    own = recipe.relevant(TRAINING)["protocol"]
    other = {"small-pix2pix": "small-cyclegan", "small-cyclegan": "small-pix2pix"}[own]
    return replace(TRAINING, protocol=other)


def test_relevant_settings_name_the_training(recipe):
    """They are resolved, as JSON can hold them, and asking for them by name changes nothing."""
    relevant = recipe.relevant(TRAINING)
    assert json.loads(json.dumps(relevant)) == relevant
    assert None not in relevant.values()
    assert "" not in relevant.values()
    assert recipe.relevant(Training(**{"protocol": "", **relevant})) == relevant
    assert recipe.trainer(TRAINING, (3, SIDE, SIDE)).steps == relevant.get("steps", 1)


def test_the_settings_of_translators(learner):
    """Of each the weights that its objective has, and the rate of the critics there are."""
    found = set(learner.relevant(TRAINING)) - {"protocol", "steps", "batch", "generator_lr"}
    names = {entry.part: entry.name for entry in LEARNERS}
    wanted = {
        "pix2pix": {"critic_lr", "l1_weight"},
        "pix2pix-l1": set(),
        "pix2pix-cgan": {"critic_lr"},
        "pix2pix-gan": {"critic_lr"},
        "cyclegan": {"critic_lr", "cycle_weight", "identity_weight"},
        "cyclegan-gan": {"critic_lr"},
        "cyclegan-cycle": {"cycle_weight", "identity_weight"},
    }
    assert found == wanted[names[learner]]


def test_every_setting_counts(learner, trained):
    """Each setting that is declared relevant changes what is trained, and its name."""
    base, relevant = digest(trained(learner)[1].tensors()), learner.relevant(TRAINING)
    for name in relevant:
        training = _changed(learner, name)
        assert learner.relevant(training) != relevant, name
        changed = _trained(learner, training=training)[2]
        assert digest(changed.tensors()) != base, name


def test_other_settings_count_for_nothing(recipe, trained):
    """All that are not declared relevant, changed at once, change nothing."""
    relevant = recipe.relevant(TRAINING)
    others = {name: value for name, value in CHANGES.items() if name not in relevant} | OTHERS
    training = replace(TRAINING, **others)
    assert recipe.relevant(training) == relevant
    changed = _trained(recipe, training=training)[2]
    assert digest(changed.tensors()) == digest(trained(recipe)[1].tensors())


def test_a_weight_of_nothing_takes_the_part_away(trained):
    """pix2pix with an L1 of weight 0 is its ablation without; so is CycleGAN."""
    for full, weights, ablation in (
        ("pix2pix", {"l1_weight": 0.0}, "pix2pix-cgan"),
        ("cyclegan", {"cycle_weight": 0.0, "identity_weight": 0.0}, "cyclegan-gan"),
    ):
        own = _trained(RECIPES[full].part, training=replace(TRAINING, **weights))[2]
        other = trained(RECIPES[ablation].part)[1]
        assert digest(own.tensors()) == digest(other.tensors()), full


def test_how_a_step_is_computed_is_declared(learner):
    """Memory format and precision stand on the rows; weights and images are still float32."""
    training = replace(TRAINING, steps=1, channels_last=True, precision="bfloat16")
    relevant = learner.relevant(training)
    assert (relevant["channels_last"], relevant["precision"]) == (True, "bfloat16")
    _, source, fitted = _trained(learner, training=training)
    assert {v.dtype for v in fitted.tensors().values()} <= {torch.float32, torch.int64}
    for direction, made in _translations(fitted, source).items():
        assert made.dtype == torch.float32, direction
        assert made.isfinite().all()


def test_identity_and_forecast(recipe):
    """The modules that make it are loaded, its cost is a number of seconds, and grows with it."""
    assert set(recipe.modules(TRAINING)) <= set(sys.modules)
    seconds = recipe.seconds(TRAINING)
    assert 0 < seconds < 3600
    relevant = recipe.relevant(TRAINING)
    for name in {"steps", "batch"} & set(relevant):
        twice = replace(TRAINING, **{name: 2 * relevant[name]})
        assert recipe.seconds(twice) == pytest.approx(2 * seconds)


def test_an_unknown_protocol_is_answered_with_the_nearest(learner):
    """Whatever is asked of the recipe; a protocol of GANs is none of translators."""

    def trainer(training):
        return learner.trainer(training, (3, SIDE, SIDE))

    for ask in (learner.relevant, learner.modules, learner.seconds, trainer):
        with pytest.raises(UsageError, match="unknown translation protocol 'pix2pics': did you"):
            ask(Training(protocol="pix2pics"))
        with pytest.raises(UsageError, match="unknown translation protocol 'dcgan'"):
            ask(Training(protocol="dcgan"))


@pytest.mark.parametrize("protocol", list(TRANSLATION_PROTOCOLS))
def test_every_protocol_trains(protocol):
    """Both kinds of model, on images that it can do; here its networks are tiny."""
    for name in ("pix2pix", "cyclegan"):
        training = Training(protocol, steps=2, batch=1)
        large = RECIPES[name].part.trainer(training, (3, 256, 256))
        with forked(0):
            source, tiny = PAIRS.source(0), replace(_tiny(large), shape=(3, SIDE, SIDE))
            state = tiny.advance(tiny.start(source, stream("protocol")), 2)
            made = tiny.finish(state).translate(source.held_first[:2], stream("made"))
        assert made.isfinite().all()


class Infinite(Loss):
    """Infinite, and flat: weights stay as they are."""

    def critic(self, real, fake):
        return 0 * (real + fake) + float("inf")

    def generator(self, real, fake):
        return 0 * fake + float("inf")


def test_a_loss_that_is_not_finite_diverges(learner):
    """Even where it leaves every weight finite."""
    with forked(0):
        trainer, _, state = _begin(learner)
        if getattr(trainer, "adversarial", 1.0) and trainer.loss is not None:
            trainer = replace(trainer, loss=Infinite())
        else:
            weight = "l1_weight" if isinstance(trainer, PairedTrainer) else "cycle_weight"
            trainer = replace(trainer, **{weight: float("inf")})
        with pytest.raises(Diverged, match=r"the loss is (inf|nan) at step 2"):
            trainer.advance(state, 2)


def test_a_weight_that_is_not_finite_diverges(learner):
    """A step that breaks the weights is noticed at once, though its loss was still finite."""
    training = replace(TRAINING, generator_lr=float("inf"))
    with forked(0):
        trainer, _, state = _begin(learner, training=training)
        with pytest.raises(Diverged, match=r"generator .* is not finite at step 1"):
            trainer.advance(state, 1)


def test_a_broken_critic_diverges(contested):
    """By its own rate."""
    training = replace(TRAINING, critic_lr=float("inf"))
    with forked(0):
        trainer, _, state = _begin(contested, training=training)
        with pytest.raises(Diverged, match="at step 1"):
            trainer.advance(state, 1)


def test_a_broken_state_diverges(learner):
    """One weight of any network that is not a number is noticed, wherever it is."""
    with forked(0):
        trainer, _, state = _begin(learner)
        tree = trainer.pack(trainer.advance(state, 1))
    networks = {"generator", "critic", "generators", "critics"} & tree.keys()
    assert len(networks) == 2
    for network in networks:
        broken = copy.deepcopy(tree)
        *_, last = (weight for name, weight in broken[network].items() if "weight" in name)
        last.view(-1)[0] = float("nan")
        with forked(0), pytest.raises(Diverged, match="at step 2"):
            trainer.advance(trainer.unpack(PAIRS.source(0), broken), 1)


def _rates(state):
    """Of the generators and of the critics, now."""
    adams = (state.generator_adam, state.critic_adam)
    return tuple({group["lr"] for group in adam.param_groups}.pop() for adam in adams)


def _rates_of(trainer, decay, steps, monkeypatch):
    """The rates at each of so many steps of a training of four, in which nothing is done."""
    monkeypatch.setattr(trainer, "_step", lambda self, state: torch.zeros(()))
    recipe = (OF_PAIRS if trainer is PairedTrainer else OF_CYCLES)[0].part
    training = replace(TRAINING, generator_lr=3e-4, critic_lr=2e-4)
    with forked(0):
        made, _, state = _begin(recipe, training=training)
        made = replace(made, protocol=replace(made.protocol, decay=decay))
        return [_rates(made.advance(state, 1)) for _ in range(steps)]


@pytest.mark.parametrize("decay", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("trainer", [PairedTrainer, CycleTrainer])
def test_rates_fall_to_nothing(trainer, decay, monkeypatch):
    """Constant at first; over the last part of the training in a straight line to 0, which the
    step after the last one would have.
    """
    left = [1.0 if not decay else min(1.0, (1 - step / 4) / decay) for step in range(4)]
    seen = _rates_of(trainer, decay, 4, monkeypatch)
    np.testing.assert_allclose(seen, [(3e-4 * share, 2e-4 * share) for share in left], rtol=1e-9)


@pytest.mark.parametrize("trainer", [PairedTrainer, CycleTrainer])
def test_rates_stay_at_nothing(trainer, monkeypatch):
    """A training that goes on after its end never turns around."""
    assert _rates_of(trainer, 0.5, 7, monkeypatch)[4:] == [(0.0, 0.0)] * 3


def _stepped(network, loss, protocol):
    """One step of PyTorch's own Adam."""
    adam = torch.optim.Adam(network.parameters(), protocol.adam.lr, protocol.adam.betas)
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    for weight, gradient in zip(network.parameters(), gradients, strict=True):
        weight.grad = gradient
    adam.step()


def _assert_close(network, other):
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


PIX2PIX = {
    "pix2pix": (True, True, 100.0),
    "pix2pix-cgan": (True, True, 0.0),
    "pix2pix-gan": (True, False, 0.0),
    "pix2pix-l1": (False, False, 1.0),
}
"""Whether there is a critic, whether it sees the input, and the weight of L1."""


@pytest.mark.parametrize("name", list(PIX2PIX))
def test_a_step_is_that_of_pix2pix(name):
    """Isola et al. 2017, equations 1 to 4 and section 3.3: the critic first, on half its loss; then
    the generator on log D, and 100 times the mean absolute error.
    """
    contested, conditional, weight = PIX2PIX[name]
    with forked(0):
        trainer, _, state = _begin(RECIPES[name].part)
        generator, critic = copy.deepcopy(state.generator), copy.deepcopy(state.critic)
        torch.manual_seed(7)
        trainer.advance(state, 1)
        torch.manual_seed(7)
        x, y = PAIRS.source(0).pairs().next(2)
        fake = generator(x)

        def judged(image):
            return critic(torch.cat([x, image], 1) if conditional else image)

        loss = weight * l1_loss(fake, y)
        if contested:
            value = softplus(-judged(y)).mean() + softplus(judged(fake.detach())).mean()
            _stepped(critic, value / 2, trainer.protocol)
            loss = loss + softplus(-judged(fake)).mean()
        _stepped(generator, loss, trainer.protocol)
    _assert_close(state.critic, critic)
    _assert_close(state.generator, generator)


CYCLEGAN = {"cyclegan": (1.0, 10.0, 5.0), "cyclegan-gan": (1.0, 0.0, 0.0)}
CYCLEGAN["cyclegan-cycle"] = (0.0, 10.0, 5.0)
"""The weights of the adversarial, the cycle and the identity losses."""


@pytest.mark.parametrize("name", list(CYCLEGAN))
def test_a_step_is_that_of_cyclegan(name):
    """Zhu et al. 2017, equations 1 to 3, sections 4 and 5.2: the generators first, by least
    squares; then the critics on half their losses.
    """
    adversarial, cycle, same = CYCLEGAN[name]
    with forked(0):
        trainer, _, state = _begin(RECIPES[name].part, APART)
        forward, backward = generators = copy.deepcopy(state.generators)
        of_second, of_first = critics = copy.deepcopy(state.critics)
        trainer.advance(state, 1)
        x, y = APART.source(0).domains().next(2)
        as_y, as_x = forward(x), backward(y)
        loss = adversarial * ((of_second(as_y) - 1) ** 2).mean()
        loss = loss + adversarial * ((of_first(as_x) - 1) ** 2).mean()
        loss = loss + cycle * (l1_loss(backward(as_y), x) + l1_loss(forward(as_x), y))
        loss = loss + same * (l1_loss(forward(y), y) + l1_loss(backward(x), x))
        _stepped(generators, loss, trainer.protocol)
        if adversarial:
            value = torch.zeros(())
            for critic, real, fake in ((of_second, y, as_y), (of_first, x, as_x)):
                value = value + ((critic(real) - 1) ** 2).mean() / 2
                value = value + (critic(fake.detach()) ** 2).mean() / 2
            _stepped(critics, value, trainer.protocol)
    _assert_close(state.generators, generators)
    _assert_close(state.critics, critics)


def test_domains_of_other_channels_have_no_identity_loss():
    """Its weight then changes nothing."""
    recipe = RECIPES["cyclegan"].part
    models = [
        _trained(recipe, MIXED, training=replace(TRAINING, identity_weight=weight))[2]
        for weight in (0.0, 50.0)
    ]
    assert digest(models[0].tensors()) == digest(models[1].tensors())


def test_the_buffer_shows_every_image_once():
    """What it shows and what it keeps are what it kept and what it is given, once it is full; until
    then it shows what it is given, and keeps that too.
    """
    buffer, rng = Buffer(4), stream("buffer")
    shown = buffer.exchange(torch.arange(3.0)[:, None], rng)
    assert shown[:, 0].tolist() == [0, 1, 2]
    assert sorted(float(x) for x in buffer.kept) == [0, 1, 2]
    buffer.exchange(torch.tensor([[3.0]]), rng)
    for at in range(50):
        before = sorted(float(x) for x in buffer.kept)
        new = [10.0 * at + 10 + i for i in range(3)]
        shown = buffer.exchange(torch.tensor(new)[:, None], rng)[:, 0].tolist()
        after = [float(x) for x in buffer.kept]
        assert len(after) == 4
        assert sorted(shown + after) == sorted(before + new)


def test_every_other_image_is_an_earlier_one():
    """Shrivastava et al. 2017, section 2.3; every place of the buffer is as likely."""
    buffer, rng = Buffer(5), stream("buffer")
    buffer.exchange(torch.zeros(5, 1), rng)
    earlier, places = 0, np.zeros(5)
    for at in range(1, 4_001):
        before = [float(x) for x in buffer.kept]
        shown = float(buffer.exchange(torch.full((1, 1), float(at)), rng))
        earlier += shown != at
        changed = [i for i, x in enumerate(buffer.kept) if float(x) != before[i]]
        assert len(changed) == (shown != at)
        places[changed] += 1
    assert earlier == pytest.approx(2_000, abs=4 * 4_000**0.5 / 2)
    assert abs(places / earlier - 0.2).max() < 0.03


def test_a_buffer_of_nothing_shows_what_it_is_given():
    """And neither keeps nor draws anything."""
    buffer, rng = Buffer(0), stream("buffer")
    images, before = torch.rand(4, 2), rng.get_state()
    assert torch.equal(buffer.exchange(images, rng), images)
    assert buffer.kept == []
    assert torch.equal(rng.get_state(), before)


def test_critics_see_earlier_images_once_the_buffer_is_full():
    """Four steps of two fill a buffer of three: with room for more, the critics are others."""
    with forked(0):
        trainer, source, state = _begin(RECIPES["cyclegan"].part)
        assert trainer.protocol.buffer == 3
        state = trainer.advance(state, 4)
    assert [len(buffer.kept) for buffer in state.buffers] == [3, 3]
    assert all(not image.requires_grad for buffer in state.buffers for image in buffer.kept)
    with forked(0):
        larger = replace(trainer, protocol=replace(trainer.protocol, buffer=50))
        torch.manual_seed(0)
        other = larger.advance(larger.start(source, stream("laws", 0)), 4)
    assert [len(buffer.kept) for buffer in other.buffers] == [8, 8]
    first, second = (list(s.critics.parameters()) for s in (state, other))
    assert not all(map(torch.equal, first, second))


def test_the_truth_is_known_of_held_out_images_alone():
    """In their order, from the first on; both ways."""
    _, source, truth = _trained(RECIPES["truth"].part)
    forward = truth.translate(source.held_first, stream("truth"))
    assert torch.equal(forward, source.held_second)
    back = truth.translate(source.held_second[:5], stream("truth"), "backward")
    assert torch.equal(back, source.held_first[:5])
    for x in (source.held_first.flip(0), source.held_second, torch.rand(3, 3, SIDE, SIDE)):
        with pytest.raises(UsageError, match="held-out images alone, in their order"):
            truth.translate(x, stream("truth"))


def test_the_identity_keeps_images():
    """Grey ones get equal channels, coloured ones become their mean."""
    _, source, same = _trained(RECIPES["identity"].part)
    assert torch.equal(same.translate(source.held_first, stream("x")), source.held_first)
    _, source, same = _trained(RECIPES["identity"].part, MIXED)
    coloured = same.translate(source.held_first, stream("x"))
    assert torch.equal(coloured, source.held_first.expand(-1, 3, -1, -1))
    grey = same.translate(source.held_second, stream("x"), "backward")
    torch.testing.assert_close(grey[:, 0], source.held_second.mean(1))


def test_the_mean_image_is_that_of_the_training_images():
    """Of the domain that is translated into."""
    _, source, mean = _trained(RECIPES["mean-image"].part, MIXED)
    made = mean.translate(source.held_first[:4], stream("x"))
    wanted = torch.from_numpy(GREY_TO_COLOUR.second.mean(0) / 255).permute(2, 0, 1).float()
    torch.testing.assert_close(made, wanted.expand(4, -1, -1, -1))
    back = mean.translate(source.held_second[:2], stream("x"), "backward")
    wanted = torch.from_numpy(GREY_TO_COLOUR.first.mean(0) / 255).float()
    torch.testing.assert_close(back, wanted.expand(2, 1, -1, -1))


@pytest.mark.parametrize("name", ["pix2pix-l1", "cyclegan-cycle"])
def test_learning_helps(name):
    """Thirty steps bring the negative of training images nearer."""
    training = Training("", steps=30, batch=6, generator_lr=5e-3)
    gaps = []
    for steps in (1, 30):
        with forked(0):
            trainer, source, state = _begin(RECIPES[name].part, training=training)
            fitted = trainer.finish(trainer.advance(state, steps))
        x, y = source.first.float() / 255, source.second.float() / 255
        if name == "cyclegan-cycle":
            there = fitted.translate(x, stream("there"))
            made, y = fitted.translate(there, stream("back"), "backward"), x
        else:
            made = fitted.translate(x, stream("made"))
        gaps.append(float((made - y).abs().mean()))
    assert gaps[1] < 0.7 * gaps[0]


def test_the_trainers_are_of_two_kinds():
    """And their repr, which names them in errors, holds no tensors."""
    for entry in LEARNERS:
        trainer = _trainer(entry.part)
        assert isinstance(trainer, PairedTrainer if entry.facts.paired else CycleTrainer)
        assert "tensor" not in repr(trainer)

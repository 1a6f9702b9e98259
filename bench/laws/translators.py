"""What holds for the training of every recipe that translates: on two small domains, with tiny
networks, in four steps.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.registry import Entry
from bench.core.trees import dump, parse
from bench.datasets import Dataset
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled
from bench.datasets.pairs import Domains, Pairs
from bench.laws import base
from bench.laws.base import once
from bench.laws.examples import near, raises
from bench.laws.recipes import Spoilt, digest, under
from generative import RECIPES, Diverged, Training, Translator
from generative.games.translating import CHUNK
from generative.trainers.game import GameTrainer
from generative.translators import PatchGan, Resnet, Unet

SIDE, PAIRED, UNPAIRED, HELD = 16, 7, (7, 9), CHUNK + 6
"""7 pairs: the fourth batch of 2 crosses the end of the first epoch. More held-out images than a
translator takes at once.
"""
STEPS, CLASSES = 4, 3


def drawings(seed: int, n: int, colour: bool = True) -> np.ndarray:
    """Smooth images uint8 [n, 16, 16, 3], or [n, 16, 16]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 4, 4, *([3] if colour else [])), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def domains(
    colours: tuple[bool, bool] = (True, True),
    sizes: tuple[int, int] = (PAIRED, PAIRED),
    held: tuple[int, int] = (HELD, HELD),
    truth: bool = True,
) -> Domains:
    """Two domains; of pairs the second is the negative of the first, where both have colours."""
    first, second = (drawings(seed, sizes[seed], colours[seed]) for seed in (0, 1))
    held_first, held_second = (drawings(seed + 2, held[seed], colours[seed]) for seed in (0, 1))
    if truth and colours[0] == colours[1]:
        second, held_second = 255 - first, 255 - held_first
    classes = np.arange(sizes[0]) % CLASSES
    return Domains(first, second, held_first, held_second, truth, classes=classes)


COLOURED, GREY_TO_COLOUR = domains(), domains((False, True))
WITHOUT_TRUTH = domains(sizes=UNPAIRED, held=(HELD, HELD - 4), truth=False)
PAIRS = Pairs("pairs", lambda: COLOURED, True)
MIXED = Pairs("mixed", lambda: GREY_TO_COLOUR, True)
APART = Pairs("apart", lambda: WITHOUT_TRUTH, False)
LABELLED = Labelled(
    "labelled",
    lambda: Split(COLOURED.first, np.arange(PAIRED), COLOURED.held_first, np.arange(HELD)),
)
TRAINING = Training("", steps=STEPS, batch=2)
SHORT = TRAINING.saying(steps=2)
"""Where a law only asks whether something counts at all."""


def translates(entry: Entry) -> bool:
    """Whether a recipe is one of translators."""
    return entry.facts.translates


def learns(entry: Entry) -> bool:
    """Whether such a recipe trains step by step."""
    return translates(entry) and "steps" in entry.part.relevant(TRAINING)


def contested(entry: Entry) -> bool:
    """Whether it has an adversary too."""
    return learns(entry) and "critic_lr" in entry.part.relevant(TRAINING)


def one_way(entry: Entry) -> bool:
    """Whether what it needs to know lets it translate in one direction alone."""
    return translates(entry) and (entry.facts.paired or entry.facts.classed)


about = partial(base.law, RECIPES.kind)
law = partial(about, where=translates)
learner_law = partial(about, where=learns)
contested_law = partial(about, where=contested)
of_pairs_law = partial(about, where=lambda entry: learns(entry) and entry.facts.paired)
of_cycles_law = partial(about, where=lambda entry: learns(entry) and not entry.facts.paired)
unpaired_law = partial(about, where=lambda entry: translates(entry) and not entry.facts.paired)
one_way_law = partial(about, where=one_way)
both_ways_law = partial(about, where=lambda entry: translates(entry) and not one_way(entry))


def tiny(trainer: Any) -> Any:
    """The same trainer with networks of width 4 and room for three earlier images."""
    if not isinstance(trainer, GameTrainer):
        return trainer
    game: Any = trainer.game
    old = game.protocol
    generator = (
        Unet(4, old.generator.noise, old.generator.norm)
        if isinstance(old.generator, Unet)
        else Resnet(4, 1, old.generator.norm, strides=1)
    )
    critic = PatchGan(4, 1, old.critic.norm)
    return under(trainer, generator=generator, critic=critic, buffer=min(old.buffer, 3))


def trainer_of(recipe: Entry, data: Dataset = PAIRS, training: Training = TRAINING) -> Any:
    """Its trainer for some data, with tiny networks."""
    return tiny(recipe.part.trainer(training, data.source(0).shape))


def begin(
    recipe: Entry, data: Dataset = PAIRS, seed: int = 0, training: Training = TRAINING
) -> tuple[Any, Any, Any]:
    """A trainer, its data and its state before the first step. Seeds the global generator."""
    source, trainer = data.source(0), trainer_of(recipe, data, training)
    torch.manual_seed(seed)
    return trainer, source, trainer.start(source, stream("laws", seed))


def train(
    recipe: Entry, data: Dataset = PAIRS, seed: int = 0, training: Training = TRAINING
) -> tuple[Any, Any, Any]:
    """A trainer, its data and the finished model."""
    with forked(seed):
        trainer, source, state = begin(recipe, data, seed, training)
        return trainer, source, trainer.finish(trainer.advance(state, trainer.steps))


trained = once(lambda recipe, training=TRAINING: train(recipe, training=training)[1:])
"""Its data and its model, trained once: for laws that only look."""


def tried(trainer: Any) -> Tensor:
    """What a trainer's model makes of two images after two steps, with tiny networks."""
    source, small = PAIRS.source(0), tiny(trainer)
    small = replace(small, game=replace(small.game, shape=(3, SIDE, SIDE)))
    state = small.advance(small.start(source, stream("protocol")), 2)
    return small.finish(state).translate(source.held_first[:2], stream("made"))


def inputs(source: Any, direction: str, n: int = HELD) -> Tensor:
    """Held-out images of the domain that is translated."""
    held = source.held_first if direction == "forward" else source.held_second
    return held[:n]


def translations(model: Translator, source: Any, n: int = 5) -> dict[str, Tensor]:
    """In every direction that the model can do."""
    return {
        direction: model.translate(inputs(source, direction, n), stream("outcome"), direction)
        for direction in model.directions
    }


def _outcome(trainer: Any, state: Any, source: Any) -> list:
    """All there is to know of a state: its tree, and what the model so far makes of images."""
    return [trainer.pack(state), translations(trainer.finish(state), source)]


def _straight(recipe: Entry) -> str:
    with forked(0):
        trainer, source, state = begin(recipe)
        return digest(_outcome(trainer, trainer.advance(state, STEPS), source))


uninterrupted = once(_straight)
"""The digest of four steps in one go."""


def resumed(recipe: Entry, stop: int) -> str:
    """The digest of four steps, cut off after some of them and taken up by another process."""
    with forked(0):
        trainer, _, state = begin(recipe)
        packed = dump(trainer.pack(trainer.advance(state, stop)))
    with forked(1):
        source, trainer = PAIRS.source(0), trainer_of(recipe)
        state = trainer.unpack(source, parse(packed))
        return digest(_outcome(trainer, trainer.advance(state, STEPS - stop), source))


@law()
def two_strides_are_one(recipe: Entry) -> None:
    """One step and three more are four, bit for bit."""
    with forked(0):
        trainer, source, state = begin(recipe)
        state = trainer.advance(trainer.advance(state, 1), STEPS - 1)
        parts = digest(_outcome(trainer, state, source))
    assert parts == uninterrupted(recipe)


@law()
def resuming_is_never_having_stopped(recipe: Entry) -> None:
    """A packed state, written, read and unpacked, goes on bit for bit."""
    assert resumed(recipe, 2) == uninterrupted(recipe)


@law()
def a_look_on_the_way_changes_nothing(recipe: Entry) -> None:
    """Finishing, translating and packing leave the training as it was, and it leaves them."""
    with forked(0):
        trainer, source, state = begin(recipe)
        state = trainer.advance(state, 2)
        early = trainer.finish(state)
        before = digest(translations(early, source))
        tree = trainer.pack(state)
        packed, again = digest(tree), digest(trainer.pack(state))
        looked = digest(_outcome(trainer, trainer.advance(state, 2), source))
    assert again == packed
    assert looked == uninterrupted(recipe)
    assert digest(tree) == packed
    assert digest(translations(early, source)) == before


@learner_law()
def a_step_of_nothing_changes_nothing(recipe: Entry) -> None:
    """Nor does it raise."""
    with forked(0):
        trainer, _, state = begin(recipe)
        before = digest(trainer.pack(state))
        after = digest(trainer.pack(trainer.advance(state, 0)))
    assert after == before


@law()
def a_training_depends_on_its_seeds_alone(recipe: Entry) -> None:
    """Same seeds, same model."""
    again = train(recipe)[2]
    assert digest(again.tensors()) == digest(trained(recipe)[1].tensors())


@learner_law()
def a_learner_depends_on_its_seed(recipe: Entry) -> None:
    """Another seed, another model."""
    other = train(recipe, seed=1)[2]
    assert digest(other.tensors()) != digest(trained(recipe)[1].tensors())


def _networks(state: Any) -> tuple[nn.Module, nn.Module]:
    """The generators and the critics of a training, one or two of each."""
    generators, critics, *_ = state.players.values()
    return generators, critics


@learner_law()
def learning_changes_every_weight(recipe: Entry) -> None:
    """Of every generator; critics move where there is an adversary, and stand still elsewhere."""
    with forked(0):
        trainer, _, state = begin(recipe)
        networks = _networks(state)
        before = [[w.detach().clone() for w in part.parameters()] for part in networks]
        trainer.advance(state, 2)
    moved = [
        [not torch.equal(a, b) for a, b in zip(old, part.parameters(), strict=True)]
        for old, part in zip(before, networks, strict=True)
    ]
    generators, critics = moved
    assert all(generators)
    assert all(critics) if contested(recipe) else not any(critics)


@learner_law()
def a_model_does_not_share_its_weights_with_the_training(recipe: Entry) -> None:
    """The networks in training stay in training, and the model is its own."""
    with forked(0):
        trainer, _, state = begin(recipe)
        trainer.finish(state)
    assert all(module.training for module in _networks(state)[0].modules())


@of_pairs_law()
def paired_models_refuse_unpaired_data(recipe: Entry) -> None:
    """And say what can be trained instead."""
    source = APART.source(0)
    with forked(0), raises(UsageError, r"'apart' is unpaired.*train cyclegan"):
        trainer_of(recipe, APART).start(source, stream("unpaired"))


@law()
def making_a_trainer_draws_nothing(recipe: Entry) -> None:
    """Nor does asking for its identity."""
    before = torch.get_rng_state()
    recipe.part.trainer(TRAINING, (3, SIDE, SIDE))
    recipe.part.relevant(TRAINING)
    recipe.part.seconds(TRAINING)
    assert torch.equal(torch.get_rng_state(), before)


CHANGES = {
    "steps": 3,
    "batch": 3,
    "generator_lr": 2e-3,
    "critic_lr": 2e-3,
    "l1_weight": 3.0,
    "cycle_weight": 3.0,
    "identity_weight": 3.0,
    "likeness_weight": 3.0,
    "clip_bound": 0.05,
    "unshared": 2,
    "code_size": 5,
    "content_share": 0.75,
    "content_size": 5,
    "constancy_weight": 3.0,
    "itself_weight": 3.0,
}
OTHERS = {"critic_steps": 2, "penalty_weight": 3.0, "latent": 3}
"""Those that no translator reads."""


def _changed(recipe: Entry, name: str) -> Training:
    """The training with another value of a setting."""
    if name != "protocol":
        return SHORT.saying(**{name: CHANGES[name]})
    own = recipe.part.relevant(SHORT)["protocol"]
    as_fast = ("small-pix2pix", "small-cogan")
    return SHORT.saying(protocol="small-cyclegan" if own in as_fast else "small-pix2pix")


@law()
def relevant_settings_name_the_training(recipe: Entry) -> None:
    """They are resolved, as JSON can hold them, and asking for them by name changes nothing."""
    relevant = recipe.part.relevant(TRAINING)
    assert json.loads(json.dumps(relevant)) == relevant
    assert None not in relevant.values()
    assert "" not in relevant.values()
    assert recipe.part.relevant(Training(**{"protocol": "", **relevant})) == relevant
    steps = recipe.part.trainer(TRAINING, (3, SIDE, SIDE)).steps
    assert steps == relevant.get("steps", 1)


@learner_law()
def every_setting_counts(recipe: Entry) -> None:
    """Each setting that is declared relevant changes what is trained, and its name."""
    relevant, start = recipe.part.relevant(SHORT), digest(trained(recipe, SHORT)[1].tensors())
    for name in relevant:
        training = _changed(recipe, name)
        assert recipe.part.relevant(training) != relevant, name
        changed = train(recipe, training=training)[2]
        assert digest(changed.tensors()) != start, name


@law()
def other_settings_count_for_nothing(recipe: Entry) -> None:
    """All that are not declared relevant, changed at once, change nothing."""
    relevant = recipe.part.relevant(SHORT)
    others = {name: value for name, value in CHANGES.items() if name not in relevant} | OTHERS
    training = SHORT.saying(**others)
    assert recipe.part.relevant(training) == relevant
    changed = train(recipe, training=training)[2]
    assert digest(changed.tensors()) == digest(trained(recipe, SHORT)[1].tensors())


@learner_law()
def how_a_step_is_computed_is_declared(recipe: Entry) -> None:
    """Memory format and precision stand on the rows; weights and images are still float32."""
    training = TRAINING.saying(steps=1, channels_last=True, precision="bfloat16")
    relevant = recipe.part.relevant(training)
    assert (relevant["channels_last"], relevant["precision"]) == (True, "bfloat16")
    _, source, fitted = train(recipe, training=training)
    types = {value.dtype for value in fitted.tensors().values()}
    assert types <= {torch.float32, torch.int64}
    for made in translations(fitted, source).values():
        assert made.dtype == torch.float32
        assert made.isfinite().all()


@law()
def identity_and_forecast(recipe: Entry) -> None:
    """The modules that make it are loaded, its cost is a number of seconds, and grows with it."""
    part = recipe.part
    seconds, relevant = part.seconds(TRAINING), part.relevant(TRAINING)
    assert set(part.modules(TRAINING)) <= set(sys.modules)
    assert 0 < seconds < 3600
    for name in {"steps", "batch"} & set(relevant):
        twice = part.seconds(TRAINING.saying(**{name: 2 * relevant[name]}))
        assert twice == near(2 * seconds)


@learner_law()
def an_unknown_protocol_is_answered_with_the_nearest(recipe: Entry) -> None:
    """Whatever is asked of the recipe; a protocol of GANs is none of translators."""
    part = recipe.part
    shaped = partial(part.trainer, shape=(3, SIDE, SIDE))
    for ask in (part.relevant, part.modules, part.seconds, shaped):
        with raises(UsageError, "unknown translation protocol 'pix2pics': did you"):
            ask(Training(protocol="pix2pics"))
        with raises(UsageError, "unknown translation protocol 'dcgan'"):
            ask(Training(protocol="dcgan"))


@learner_law()
def a_loss_that_is_not_finite_diverges(recipe: Entry) -> None:
    """Even where it leaves every weight finite."""
    with forked(0):
        trainer, _, state = begin(recipe)
        with raises(Diverged, r"the loss is inf at step 2"):
            replace(trainer, dynamics=Spoilt()).advance(state, 2)


@learner_law()
def a_weight_that_is_not_finite_diverges(recipe: Entry) -> None:
    """A step that breaks the weights is noticed at once, though its loss was still finite."""
    with forked(0):
        trainer, _, state = begin(recipe)
        adam = replace(trainer.game.protocol.generator_adam, lr=float("inf"))
        trainer = under(trainer, generator_adam=adam)
        state = trainer.start(state.table.data, stream("laws", 0))
        with raises(Diverged, r"generators? .* is not finite at step 1"):
            trainer.advance(state, 1)


@contested_law()
def a_broken_critic_diverges(recipe: Entry) -> None:
    """By its own rate."""
    with forked(0):
        trainer, _, state = begin(recipe)
        adam = replace(trainer.game.protocol.critic_adam, lr=float("inf"))
        trainer = under(trainer, critic_adam=adam)
        state = trainer.start(state.table.data, stream("laws", 0))
        with raises(Diverged, "at step 1"):
            trainer.advance(state, 1)


@learner_law()
def a_broken_state_diverges(recipe: Entry) -> None:
    """One weight of any network that is not a number is noticed, wherever it is."""
    with forked(0):
        trainer, _, state = begin(recipe)
        packed = dump(trainer.pack(trainer.advance(state, 1)))
    networks = {"generator", "critic", "generators", "critics"} & parse(packed).keys()
    assert len(networks) == 2
    for network in networks:
        tree = parse(packed)
        *_, last = (weight for name, weight in tree[network].items() if "weight" in name)
        last.view(-1)[0] = float("nan")
        with forked(0), raises(Diverged, "at step 2"):
            trainer.advance(trainer.unpack(PAIRS.source(0), tree), 1)


@learner_law()
def a_trainer_shows_no_tensors(recipe: Entry) -> None:
    """Its repr names it in errors."""
    assert "tensor" not in repr(trainer_of(recipe))

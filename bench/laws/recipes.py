"""What holds for every recipe that draws samples: on a small ring and, where a recipe can do
images, on small images; in a few steps.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.registry import Entry
from bench.core.trees import dump, parse
from bench.datasets import DATASETS, Dataset
from bench.laws import base
from bench.laws.base import Cases, once
from bench.laws.examples import raises
from generative import (
    RECIPES,
    Diverged,
    Trainer,
    Training,
)
from generative.dynamics.alternating import ALTERNATING
from generative.dynamics.base import Dynamics
from generative.games.base import Move, Summand, Table
from generative.recipes.playing import Parted, Playing
from generative.trainers.game import GameTrainer
from generative.training import Setting, settings_of


@dataclass(frozen=True)
class Place:
    """What a law is tried on: data, how long to train, and where a training is cut in two."""

    data: Dataset
    training: Training
    cut: int = 3

    @property
    def steps(self) -> int:
        return self.training.settings["steps"]


def _smaller(name: str, **changes: int) -> Any:
    """A registered data set with fewer examples."""
    part: Any = DATASETS[name].part
    return replace(part, **changes)


# 150 points: the fifth batch of 32 crosses the end of the first epoch.
RING = _smaller("ring8@pacgan", training_points=150)
SMALL = _smaller("stack2@optdigits", estimated=2**18)
PLANE = Place(RING, Training("plane", steps=6, batch=32))
STACKS = Place(SMALL, Training("small-dcgan", steps=4, batch=8), cut=2)
LABELLED = Place(DATASETS["optdigits"].part, Training("small-dcgan", steps=4, batch=8), cut=2)
CAPTIONED = replace(LABELLED, data=DATASETS["captions@digits"].part)
SHORT = replace(PLANE, training=PLANE.training.saying(steps=2))
"""Where a law only asks whether something counts at all."""


def draws(entry: Entry) -> bool:
    """Whether a recipe draws samples."""
    return entry.facts.draws and not entry.facts.translates


def of_points(entry: Entry) -> bool:
    """Whether it draws samples of points."""
    return draws(entry) and not entry.facts.images_only


def _reads(setting: str) -> Callable[[Entry], bool]:
    return lambda entry: of_points(entry) and setting in entry.part.relevant(PLANE.training)


def places(entry: Entry) -> Cases:
    """Points and images, as far as a recipe can do them."""
    images = LABELLED if entry.facts.labelled else STACKS
    images = CAPTIONED if entry.facts.captioned else images
    found = {} if entry.facts.images_only else {"points": (PLANE,)}
    return found if entry.facts.points_only else {**found, "images": (images,)}


about = partial(base.law, RECIPES.kind)
law = partial(about, where=of_points)
place_law = partial(about, where=draws, cases=places)
learner_law = partial(about, where=_reads("steps"))
follower_law = partial(about, where=_reads("protocol"))


def digest(tree: Any) -> str:
    """The sha256 of a tree's bytes: equal trees have equal ones, bit for bit."""
    return hashlib.sha256(dump(tree)).hexdigest()


def begin(recipe: Entry, place: Place = PLANE, seed: int = 0) -> tuple[Any, Any, Any]:
    """A trainer, its data and its state before the first step. Seeds the global generator."""
    source = place.data.source(0)
    trainer = recipe.part.trainer(place.training, source.shape)
    torch.manual_seed(seed)
    return trainer, source, trainer.start(source, stream("laws", seed))


def train(recipe: Entry, place: Place = PLANE, seed: int = 0) -> tuple[Trainer, Any, Any]:
    """A trainer, its data and the finished model."""
    with forked(seed):
        trainer, source, state = begin(recipe, place, seed)
        return trainer, source, trainer.finish(trainer.advance(state, trainer.steps))


trained = once(train)
"""The same, once for each recipe, place and seed: for laws that only look."""


def changed(place: Place = PLANE, **settings: Any) -> Place:
    """A place with other settings of the training."""
    return replace(place, training=place.training.saying(**settings))


def under(trainer: Any, **changes: Any) -> Any:
    """A trainer whose protocol says something else."""
    return replace(trainer, game=_told(trainer.game, changes))


def _told(game: Any, changes: Mapping[str, Any]) -> Any:
    """A game whose protocol says something else, or that of the game it extends."""
    if "protocol" in {field.name for field in fields(game)}:
        return replace(game, protocol=replace(game.protocol, **changes))
    return replace(game, own=_told(game.own, changes))


def _outcome(trainer: Any, state: Any) -> list:
    """All there is to know of a state: its tree, and samples of the model so far."""
    return [trainer.pack(state), trainer.finish(state).sample(50, stream("outcome"))]


def straight(recipe: Entry, place: Place = PLANE) -> list:
    """What a training comes to in one go."""
    with forked(0):
        trainer, _, state = begin(recipe, place)
        return _outcome(trainer, trainer.advance(state, place.steps))


uninterrupted = once(lambda recipe, place: digest(straight(recipe, place)))


def resumed(recipe: Entry, stop: int, place: Place = PLANE) -> list:
    """The same, cut off after some steps and taken up by another process's trainer."""
    with forked(0):
        trainer, _, state = begin(recipe, place)
        packed = dump(trainer.pack(trainer.advance(state, stop)))
    with forked(1):
        source = place.data.source(0)
        trainer = recipe.part.trainer(place.training, source.shape)
        state = trainer.unpack(source, parse(packed))
        return _outcome(trainer, trainer.advance(state, place.steps - stop))


@place_law()
def two_strides_are_one(recipe: Entry, place: Place) -> None:
    """Some steps and the others are all of them, bit for bit."""
    with forked(0):
        trainer, _, state = begin(recipe, place)
        state = trainer.advance(trainer.advance(state, 2), place.steps - 2)
        parts = digest(_outcome(trainer, state))
    assert parts == uninterrupted(recipe, place)


@place_law()
def resuming_is_never_having_stopped(recipe: Entry, place: Place) -> None:
    """A packed state, written, read and unpacked, goes on bit for bit."""
    assert digest(resumed(recipe, place.cut, place)) == uninterrupted(recipe, place)


@law(cases=base.each([0, 6]))
def resuming_at_either_end(recipe: Entry, stop: int) -> None:
    """Before the first step and after the last, too."""
    assert digest(resumed(recipe, stop)) == uninterrupted(recipe, PLANE)


@place_law()
def a_look_on_the_way_changes_nothing(recipe: Entry, place: Place) -> None:
    """Finishing, sampling and packing leave the training as it was, and it leaves them."""
    with forked(0):
        trainer, _, state = begin(recipe, place)
        state = trainer.advance(state, place.cut)
        early = trainer.finish(state)
        before = early.sample(50, stream("look"))
        packed = digest(trainer.pack(state))
        again = digest(trainer.pack(state))
        looked = digest(_outcome(trainer, trainer.advance(state, place.steps - place.cut)))
    assert again == packed
    assert looked == uninterrupted(recipe, place)
    assert torch.equal(early.sample(50, stream("look")), before)


@place_law()
def a_model_is_its_tensors(recipe: Entry, place: Place) -> None:
    """A model restored from a file of its tensors draws the same samples."""
    trainer, _, fitted = trained(recipe, place, 0)
    with forked(1):
        kept = parse(dump(fitted.tensors()))
        restored = trainer.restore(place.data.source(0), kept)
    assert type(restored) is type(fitted)
    assert torch.equal(fitted.sample(99, stream("samples")), restored.sample(99, stream("samples")))


@place_law()
def a_training_depends_on_its_seeds_alone(recipe: Entry, place: Place) -> None:
    """Same seeds, same model; where the seed matters, it is the trainer's own."""
    _, _, again = train(recipe, place)
    assert digest(again.tensors()) == digest(trained(recipe, place, 0)[2].tensors())


@learner_law()
def a_learner_depends_on_its_seed(recipe: Entry) -> None:
    """Another seed, another model."""
    first, other = (trained(recipe, PLANE, seed)[2].tensors() for seed in (0, 1))
    assert digest(first) != digest(other)


@law()
def relevant_settings_name_the_training(recipe: Entry) -> None:
    """They are settings a training has, resolved, as JSON can hold them."""
    part, training = recipe.part, PLANE.training
    relevant = part.relevant(training)
    assert json.loads(json.dumps(relevant)) == relevant
    assert None not in relevant.values()
    assert part.relevant(Training(**relevant)) == relevant
    assert part.trainer(training, (2,)).steps == relevant.get("steps", 1)


@law()
def identity_and_forecast(recipe: Entry) -> None:
    """The modules that make it are loaded, and its cost is a number of seconds."""
    modules, seconds = recipe.part.modules(PLANE.training), recipe.part.seconds(PLANE.training)
    assert set(modules) <= set(sys.modules)
    assert 0 < seconds < 3600


class Probe(Dynamics):
    """Dynamics that laws play by."""

    def refuse(self, moves: Sequence[Move]) -> None:
        raise NotImplementedError

    def linear(self, field: Any, rate: float) -> None:
        raise NotImplementedError

    @property
    def cost(self) -> float:
        raise NotImplementedError


class Hurried(Probe):
    """The player that moves last has a rate that nobody can set."""

    def __init__(self, own: Dynamics, rate: float) -> None:
        self.own, self.rate = own, rate

    def play(self, table: Table, moves: Sequence[Move]) -> torch.Tensor:
        for group in table.optimisers[moves[-1].player].param_groups:
            group["lr"] = self.rate
        return self.own.play(table, moves)


ONE_GAME = "it plays no game, or several one after another"


def hurried(recipe: Entry, rate: float) -> tuple[Any, Any]:
    """A trainer in such a hurry, and its state at the start."""
    trainer, _, state = begin(recipe)
    if not isinstance(trainer, GameTrainer):
        raise base.Skipped(ONE_GAME)
    return replace(trainer, dynamics=Hurried(trainer.dynamics, rate)), state


@learner_law(cases=base.each([1e12, 1e30]))
def a_training_that_blows_up_diverges(recipe: Entry, rate: float) -> None:
    """An absurd learning rate raises within one advance, and the message says where."""
    with forked(0), raises(Diverged, r"(nan|inf|not finite) at step 6"):
        trainer, state = hurried(recipe, rate)
        trainer.advance(state, 6)


@learner_law()
def a_weight_that_is_not_finite_diverges(recipe: Entry) -> None:
    """A step that breaks the weights is noticed at once, though its loss was still finite."""
    with forked(0), raises(Diverged, r"(generator|coder|model).* is not finite at step 1"):
        trainer, state = hurried(recipe, float("inf"))
        trainer.advance(state, 1)


class Spoilt(Probe):
    """Every loss is infinite, and flat there: weights move as ever."""

    def play(self, table: Table, moves: Sequence[Move]) -> torch.Tensor:
        def spoil(move: Move) -> Move:
            endless = Summand(torch.full((1,), float("inf")))
            return replace(move, objective=lambda table: [*move.objective(table), endless])

        return ALTERNATING.play(table, [spoil(move) for move in moves])


@learner_law()
def a_loss_that_is_not_finite_diverges(recipe: Entry) -> None:
    """Even where it leaves every weight finite."""
    with forked(0):
        trainer, _, state = begin(recipe)
        if not isinstance(trainer, GameTrainer):
            raise base.Skipped(ONE_GAME)
        with raises(Diverged, "the loss is inf at step 2"):
            replace(trainer, dynamics=Spoilt()).advance(state, 2)


@learner_law()
def a_broken_state_diverges(recipe: Entry) -> None:
    """One weight of any network that is not a number is noticed, wherever it is."""
    with forked(0):
        trainer, source, state = begin(recipe)
        if not isinstance(trainer, GameTrainer):
            raise base.Skipped(ONE_GAME)
        packed = dump(trainer.pack(trainer.advance(state, 1)))
    networks = {"generator", "critic", "coder", "model"} & parse(packed).keys()
    assert networks
    for network in networks:
        with forked(0):
            tree = parse(packed)
            weights = next(value for name, value in tree[network].items() if "weight" in name)
            weights.view(-1)[0] = float("nan")
            with raises(Diverged, "at step 2"):
                trainer.advance(trainer.unpack(source, tree), 1)


CHANGES = {
    "protocol": "unrolled-notebook",
    "steps": 3,
    "batch": 31,
    "critic_steps": 2,
    "generator_lr": 2e-3,
    "critic_lr": 2e-3,
    "penalty_weight": 3.0,
    "latent": 3,
    "dynamics": "historical",
    "margin": 1e-3,
    "sensitivity": 10.0,
    "rounds": 2,
}
"""Another value of every setting of a protocol, and of what needs its own: margins that count from
the first step on, and fewer rounds than so few steps have place for.
"""


def another(setting: Setting) -> Any:
    """Another value that a setting may have."""
    usual = setting.default
    if isinstance(usual, bool):
        return not usual
    if usual is None:
        return setting.checked("setting", 2)
    tried = [usual + 1, usual - 1] if isinstance(usual, int) else [usual / 2, usual * 2, 0.5]
    for value in tried:
        with suppress(UsageError):
            if setting.checked("setting", value) != usual:
                return value
    raise AssertionError(f"nothing else can be said than {usual}")


def changes_of(recipe: Entry) -> dict[str, Any]:
    """Another value of every setting that a recipe reads."""
    part = recipe.part
    own = part.own() if isinstance(part, Parted) else settings_of(part)
    relevant = recipe.part.relevant(SHORT.training)
    changes = {name: another(setting) for name, setting in own.items() if name not in CHANGES}
    if relevant.get("dynamics") == CHANGES["dynamics"]:
        changes["dynamics"] = "alternating"
    return {name: {**CHANGES, **changes}[name] for name in relevant}


@follower_law()
def every_setting_counts(recipe: Entry) -> None:
    """Each setting that is declared relevant changes what is trained, and its name: in two steps,
    or by the second epoch.
    """
    relevant = recipe.part.relevant(SHORT.training)
    for name, value in changes_of(recipe).items():
        assert recipe.part.relevant(changed(SHORT, **{name: value}).training) != relevant, name
        counts = (
            digest(train(recipe, changed(place, **{name: value}))[2].tensors())
            != digest(trained(recipe, place, 0)[2].tensors())
            for place in (SHORT, PLANE)
        )
        assert any(counts), name


@law()
def other_settings_count_for_nothing(recipe: Entry) -> None:
    """All that are not declared relevant, changed at once, change nothing."""
    relevant = recipe.part.relevant(SHORT.training)
    changes = [changes_of(entry) for entry in RECIPES.entries() if of_points(entry)]
    every = {name: value for each in changes for name, value in each.items()}
    others = {name: value for name, value in every.items() if name not in relevant}
    place = changed(SHORT, **others)
    assert recipe.part.relevant(place.training) == relevant
    fitted, other = trained(recipe, SHORT, 0)[2], train(recipe, place)[2]
    assert digest(other.tensors()) == digest(fitted.tensors())


def _differs_on_points(entry: Entry) -> bool:
    return of_points(entry) and isinstance(entry.part, Playing) and bool(entry.part.on_points)


@about(where=_differs_on_points)
def what_is_usual_on_points_is_trained_there(recipe: Entry) -> None:
    """Each setting that a recipe has on points is one that it reads, counts, and gives way to what
    a training says; on images nothing of it is there.
    """
    part, on_points = recipe.part, recipe.part.on_points
    assert part.suited(SHORT.training, (1, 8, 8)) == SHORT.training
    relevant = part.relevant(part.suited(SHORT.training, (2,)))
    usual = digest(trained(recipe, SHORT, 0)[2].tensors())
    for name, value in on_points.items():
        assert relevant.get(name) == value, f"{name} is no setting of it"
        told = changed(SHORT, **{name: value})
        assert digest(train(recipe, told)[2].tensors()) == usual, name
        other = CHANGES.get(name) or another(part.own()[name])
        assert part.suited(told.training.saying(**{name: other}), (2,)).settings[name] == other
        said = changed(SHORT, **{name: other})
        assert digest(train(recipe, said)[2].tensors()) != usual, f"{name} counts for nothing"


def _asking(recipe: Entry) -> list[Callable[[Training], Any]]:
    part = recipe.part
    return [
        part.modules,
        lambda training: part.trainer(training, (2,)),
        part.relevant,
        part.seconds,
    ]


@learner_law()
def an_unknown_protocol_is_answered_with_the_nearest(recipe: Entry) -> None:
    """Whatever is asked of the recipe."""
    for ask in _asking(recipe):
        with raises(UsageError, "unknown protocol 'plain': did you mean 'plane'"):
            ask(Training(protocol="plain"))


@follower_law()
def no_follower_follows_an_unknown_protocol(recipe: Entry) -> None:
    """Neither its identity nor its trainer can be had."""
    for ask in _asking(recipe)[:2]:
        with raises(UsageError, "unknown protocol 'plain': did you mean 'plane'"):
            ask(Training(protocol="plain"))


@follower_law()
def points_are_nothing_for_convolutions(recipe: Entry) -> None:
    """The protocol for images says so, and what to do."""
    place = Place(RING, Training("small-dcgan", steps=1, batch=8))
    message = r"need images whose height and width are multiples of 4, got .* shape \[2\]: choose"
    with raises(UsageError, message):
        train(recipe, place)

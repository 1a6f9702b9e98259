"""What holds for every trained translator: what it makes of images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.registry import Entry
from bench.core.trees import dump, parse
from bench.datasets import DATASETS, Dataset
from bench.datasets.pairs import Pairs
from bench.laws import base
from bench.laws.base import Skipped
from bench.laws.examples import raises
from bench.laws.recipes import digest, under
from bench.laws.translators import (
    APART,
    COLOURED,
    HELD,
    LABELLED,
    MIXED,
    PAIRED,
    PAIRS,
    SIDE,
    TRAINING,
    both_ways_law,
    drawings,
    inputs,
    law,
    learner_law,
    of_cycles_law,
    one_way_law,
    train,
    trained,
    trainer_of,
    translations,
    unpaired_law,
)
from generative import Translator
from generative.games.translating import CHUNK
from generative.translators import Noise


@law()
def a_model_is_its_tensors(recipe: Entry) -> None:
    """A model restored from a file of its tensors makes the same images."""
    source, fitted = trained(recipe)
    with forked(1):
        kept = parse(dump(fitted.tensors()))
        restored = trainer_of(recipe).restore(PAIRS.source(0), kept)
    assert restored.directions == fitted.directions
    assert digest(translations(restored, source)) == digest(translations(fitted, source))


@learner_law()
def weights_of_another_architecture_are_refused(recipe: Entry) -> None:
    """Naming the first that does not fit."""
    _, fitted = trained(recipe)
    trainer = trainer_of(recipe)
    message = "the (forward generator|generators)'s weights are of another architecture"
    for made, tensors in ((_wider(trainer), fitted.tensors()), (trainer, {})):
        with raises(UsageError, message):
            made.restore(PAIRS.source(0), tensors)


def _wider(trainer: Any) -> Any:
    """A trainer of wider generators: the protocol's, or layers of the game's own."""
    game = trainer.game
    for name in ("making", "layers"):
        if hasattr(game, name) and not hasattr(game, "own"):
            layers = replace(getattr(game, name), width=5)
            return replace(trainer, game=replace(game, **{name: layers}))
    return under(trainer, generator=replace(game.protocol.generator, width=5))


@law(cases=base.each([1, 5, HELD]))
def translations_are_images_of_the_other_domain(recipe: Entry, n: int) -> None:
    """As many as came in, float32 in [0, 1], finite, without a gradient, ordinary tensors."""
    source, fitted = trained(recipe)
    assert isinstance(fitted, Translator)
    for direction in fitted.directions:
        x = inputs(source, direction, n)
        kept = x.clone()
        made = fitted.translate(x, stream("made"), direction)
        shape = source.shape if direction == "forward" else source.first_shape
        assert made.shape == (n, *shape)
        assert made.dtype == torch.float32
        assert made.isfinite().all()
        assert made.min() >= 0
        assert made.max() <= 1
        assert not made.requires_grad
        assert not made.is_inference()
        assert torch.equal(x, kept)


@law()
def grey_becomes_coloured_and_back(recipe: Entry) -> None:
    """Domains may differ in their channels."""
    _, source, fitted = train(recipe, MIXED, training=TRAINING.saying(steps=2))
    assert (source.first_shape, source.shape) == ((1, SIDE, SIDE), (3, SIDE, SIDE))
    for direction in fitted.directions:
        made = fitted.translate(inputs(source, direction, 3), stream("made"), direction)
        assert made.shape[1] == (3 if direction == "forward" else 1)


@law()
def no_images_become_none(recipe: Entry) -> None:
    """Nothing in, nothing out."""
    source, fitted = trained(recipe)
    for direction in fitted.directions:
        made = fitted.translate(inputs(source, direction, 0), stream("none"), direction)
        assert made.shape == (0, *source.shape)


@law()
def translations_depend_on_the_generator_alone(recipe: Entry) -> None:
    """Not on the global one, which they leave alone, nor on what was made before."""
    source, fitted = trained(recipe)
    for direction in fitted.directions:
        x = inputs(source, direction, 6)
        with forked(0):
            first = fitted.translate(x, stream("a"), direction)
            fitted.translate(x, stream("b"), direction)
            torch.manual_seed(5)
            untouched = torch.get_rng_state()
            again = fitted.translate(x, stream("a"), direction)
            assert torch.equal(torch.get_rng_state(), untouched)
        assert torch.equal(first, again)


def layers_of(fitted: Any) -> list[nn.Module]:
    """Every layer of a translator's networks; none where it has no networks."""
    networks = vars(fitted).get("_networks", {})
    return [layer for network in networks.values() for layer in network.modules()]


@law()
def noise_is_what_changes_a_translation(recipe: Entry) -> None:
    """Another draw gives other images where the networks have noise, and only there; drawing goes
    on from where the generator stands.
    """
    source, fitted = trained(recipe)
    x, rng = inputs(source, "forward", 6), stream("a")
    first, other = fitted.translate(x, rng), fitted.translate(x, rng)
    noisy = any(isinstance(layer, Noise) for layer in layers_of(fitted))
    assert torch.equal(first, other) != noisy


@law()
def translating_leaves_the_model_as_it_was(recipe: Entry) -> None:
    """Its tensors, its mode and its gradients."""
    source, fitted = trained(recipe)
    before = digest(fitted.tensors())
    translations(fitted, source)
    assert digest(fitted.tensors()) == before
    for layer in layers_of(fitted):
        assert not layer.training
        assert all(weight.grad is None for weight in layer.parameters())


@law()
def nothing_of_the_batch_mates(recipe: Entry) -> None:
    """A translation is the same in other company; without noise, alone too."""
    source, fitted = trained(recipe)
    noisy = not torch.equal(*(fitted.translate(source.held_first, stream(k)) for k in "ab"))
    for direction in fitted.directions:
        x = inputs(source, direction)
        one, other = x[:3], torch.cat([x[:2], 1 - x[5:6]])
        made, again = (fitted.translate(part, stream("mates"), direction) for part in (one, other))
        torch.testing.assert_close(made[:2], again[:2], rtol=0, atol=1e-6)
        if not noisy:
            alone = fitted.translate(x[CHUNK + 1 : CHUNK + 2], stream("alone"), direction)
            every = fitted.translate(x, stream("every"), direction)
            torch.testing.assert_close(alone[0], every[CHUNK + 1], rtol=0, atol=1e-5)


@of_cycles_law()
def instance_norm_looks_at_the_image_itself(recipe: Entry) -> None:
    """In use as in training: there are no statistics of the training set."""
    _, fitted = trained(recipe)
    norms = [layer for layer in layers_of(fitted) if isinstance(layer, nn.InstanceNorm2d)]
    assert norms
    assert not any(layer.track_running_stats for layer in norms)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in layers_of(fitted))
    assert not any("running" in name for name in fitted.tensors())


@one_way_law()
def paired_models_know_one_direction(recipe: Entry) -> None:
    """Another is refused, by name."""
    source, fitted = trained(recipe)
    assert fitted.directions == ("forward",)
    with raises(UsageError, r"translates forward only, not backward$"):
        fitted.translate(source.held_second, stream("back"), "backward")


@both_ways_law()
def other_models_know_both_directions(recipe: Entry) -> None:
    """From the first domain to the second, and back."""
    directions = trained(recipe)[1].directions
    assert directions == ("forward", "backward")


@unpaired_law()
def unpaired_domains_need_not_be_equally_large(recipe: Entry) -> None:
    """As many images come out as went in; or the model says that it can't be had."""
    with forked(0):
        try:
            _, source, fitted = train(recipe, APART)
        except UsageError as error:
            raise Skipped(str(error)) from None
        for direction in fitted.directions:
            x = inputs(source, direction)
            made = fitted.translate(x, stream("made"), direction)
            assert len(made) == len(x)


@law(cases={"images": (LABELLED,), "points": (DATASETS["ring8@pacgan"].part,)})
def one_domain_is_refused(recipe: Entry, data: Dataset) -> None:
    """Labelled images and points have nothing to be translated into."""
    source, trainer = data.source(0), trainer_of(recipe)
    with raises(UsageError, "needs two domains of images, and these are one"):
        trainer.finish(trainer.start(source, stream("one")))


@learner_law()
def images_of_another_size_are_refused(recipe: Entry) -> None:
    """Where the networks can't do them, when the trainer is made; where the two domains differ,
    when it starts.
    """
    with raises(UsageError, "bring them to another size"):
        recipe.part.trainer(TRAINING, (3, 6, 6))
    large = replace(COLOURED, first=drawings(0, PAIRED).repeat(2, 1).repeat(2, 2))
    large = replace(large, held_first=drawings(2, HELD).repeat(2, 1).repeat(2, 2))
    data = Pairs("unequal", lambda: large, True)
    with raises(UsageError, r"got \[3, 32, 32\] to \[3, 16, 16\]"):
        trainer_of(recipe, data).start(data.source(0), stream("unequal"))

"""What holds for every recipe that classifies from few labels: on small digits, in a few steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.randomness import forked, stream
from bench.core.registry import Entry
from bench.core.trees import dump, parse
from bench.datasets import digits
from bench.datasets.digits import Split
from bench.datasets.few import Few, chosen
from bench.datasets.labelled import Labelled
from bench.laws import base
from bench.laws.base import Skipped, once
from bench.laws.recipes import digest
from generative import RECIPES, Labeller, Training

LABELS, CLASSES, STEPS = 20, 10, 4
TRAINING = Training("small-dcgan", steps=STEPS, batch=8)
Changing = Callable[[Split], Split]


class Known(Labelled):
    """Digits whose fingerprint, and so every stream, is that of the digits as they were."""

    @property
    def fingerprint(self) -> str:
        return "f" * 64


def data(change: Changing = lambda split: split) -> Few:
    """Digits of 8 x 8 with few labels, changed."""
    return Few(Known("known", lambda: change(digits.digits8()), CLASSES), LABELS)


def told(split: Split, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The places in a split of the examples that have a label, and of those of which none is read:
    whatever class they had, they would have none.
    """
    order = Few(Known("known", lambda: split, CLASSES), LABELS).base.source(seed)._order.numpy()
    labels = split.labels[order]
    first = chosen(torch.from_numpy(labels), LABELS // CLASSES, CLASSES).numpy()
    return order[first], order[int(first.max()) + 1 :]


def _relabelled(where: Callable[[Split], np.ndarray]) -> Changing:
    """Every class the next, of examples at some places."""

    def change(split: Split) -> Split:
        labels, at = split.labels.copy(), where(split)
        labels[at] = (labels[at] + 1) % CLASSES
        return replace(split, labels=labels)

    return change


def _held_otherwise(split: Split) -> Split:
    held = np.ascontiguousarray(255 - split.held_images)
    return replace(split, held_images=held, held_labels=(split.held_labels + 3) % CLASSES)


UNTOLD = _relabelled(lambda split: told(split)[1])
"""The classes of examples that have no label are others."""
OTHERWISE_TOLD = _relabelled(lambda split: told(split)[0])


def classifies(entry: Entry) -> bool:
    """Whether a recipe's model is a Labeller."""
    return entry.facts.classifies


def learns(entry: Entry) -> bool:
    """Whether it is trained step by step."""
    return classifies(entry) and "steps" in entry.part.relevant(TRAINING)


about = partial(base.law, RECIPES.kind)
law = partial(about, where=classifies)
learner_law = partial(about, where=learns)


def begin(recipe: Entry, few: Few, training: Training = TRAINING, seed: int = 0) -> Any:
    """A trainer, the data and the state before the first step."""
    source = few.source(seed)
    trainer = recipe.part.trainer(training, source.shape)
    torch.manual_seed(seed)
    return trainer, source, trainer.start(source, stream("laws", seed))


def train(recipe: Entry, few: Few, training: Training = TRAINING) -> tuple[Any, Any, Labeller]:
    """A trainer, the data and the finished model."""
    with forked(0):
        trainer, source, state = begin(recipe, few, training)
        return trainer, source, trainer.finish(trainer.advance(state, trainer.steps))


_trained = once(lambda recipe: train(recipe, data()))


def said(model: Labeller, source: Any, n: int = 30) -> Tensor:
    """Of the first held-out images the log probability of each class."""
    with torch.no_grad():
        return model.classify(source.held_out[:n])


@law()
def what_is_said_of_classes_is_a_distribution(recipe: Entry) -> None:
    """Log probabilities, one for each class, that sum to 1; and not every example has the same."""
    _, source, model = _trained(recipe)
    found = said(model, source)
    assert isinstance(model, Labeller)
    assert found.shape == (30, CLASSES)
    assert found.isfinite().all()
    torch.testing.assert_close(found.exp().sum(1), torch.ones(30), rtol=0, atol=1e-5)
    assert len(found.unique(dim=0)) > 1


@law()
def a_class_does_not_depend_on_batch_mates(recipe: Entry) -> None:
    """What is said of an example is the same alone."""
    _, source, model = _trained(recipe)
    together = said(model, source)
    with torch.no_grad():
        alone = torch.cat([model.classify(x[None]) for x in source.held_out[:5]])
    torch.testing.assert_close(alone, together[:5], rtol=1e-4, atol=1e-4)


@law()
def a_classifier_is_its_tensors(recipe: Entry) -> None:
    """A model restored from a file of its tensors says the same, bit for bit."""
    trainer, source, model = _trained(recipe)
    with forked(1):
        restored = trainer.restore(data().source(0), parse(dump(model.tensors())))
    assert type(restored) is type(model)
    assert torch.equal(said(restored, source), said(model, source))


@law()
def a_classifier_resumes(recipe: Entry) -> None:
    """Cut off, packed, written and taken up again, a training goes on bit for bit, in the stream of
    examples with a class, too.
    """
    with forked(0):
        trainer, _, state = begin(recipe, data())
        packed = dump(trainer.pack(trainer.advance(state, min(2, trainer.steps))))
    with forked(1):
        source = data().source(0)
        trainer = recipe.part.trainer(TRAINING, source.shape)
        state = trainer.unpack(source, parse(packed))
        model = trainer.finish(trainer.advance(state, max(0, trainer.steps - 2)))
    assert digest(model.tensors()) == digest(_trained(recipe)[2].tensors())


def _reads_all(entry: Entry) -> bool:
    """Whether it is a ceiling, which is told every label."""
    return entry.facts.role == "ceiling"


@about(where=lambda entry: classifies(entry) and not _reads_all(entry))
def no_label_is_read_that_was_not_told(recipe: Entry) -> None:
    """The classes of examples without a label are changed: the same model, bit for bit."""
    other = train(recipe, data(UNTOLD))[2]
    assert digest(other.tensors()) == digest(_trained(recipe)[2].tensors())


@about(where=lambda entry: classifies(entry) and _reads_all(entry))
def a_ceiling_is_told_every_label(recipe: Entry) -> None:
    """The classes of examples without a label count, and it is a ceiling for that."""
    other = train(recipe, data(UNTOLD))[2]
    assert digest(other.tensors()) != digest(_trained(recipe)[2].tensors())


@about(where=lambda entry: classifies(entry) and not _reads_all(entry))
def labels_that_are_told_count(recipe: Entry) -> None:
    """With other classes of the labelled examples the model is another."""
    other = train(recipe, data(OTHERWISE_TOLD))[2]
    assert digest(other.tensors()) != digest(_trained(recipe)[2].tensors())


@law()
def held_out_examples_teach_nothing(recipe: Entry) -> None:
    """Other held-out images and classes: the same model, bit for bit."""
    other = train(recipe, data(_held_otherwise))[2]
    assert digest(other.tensors()) == digest(_trained(recipe)[2].tensors())


def _weighs_others(entry: Entry) -> bool:
    return learns(entry) and "unlabelled_weight" in entry.part.relevant(TRAINING)


@about(where=_weighs_others)
def without_others_it_is_the_classifier_alone(recipe: Entry) -> None:
    """`unlabelled_weight=0`: from the same first weights the same ones after all steps as those of
    `supervised`, whatever is drawn beside it; bit for bit where its last layer says classes alone.
    Without dropout: what is dropped is drawn from one generator, of which a game takes more.
    """
    plain = TRAINING.saying(dropout=0.0)
    with forked(0):
        trainer, _, state = begin(recipe, data(), plain.saying(unlabelled_weight=0.0))
        alone, _, wanted = begin(RECIPES["supervised"], data(), plain)
        role = "classifier" if "classifier" in state.players else "critic"
        network, other = state.players[role], wanted.players["classifier"]
        names = list(other.state_dict())
        extra = len([*network.parameters()][-1]) - CLASSES
        if len(names) != len(network.state_dict()) or extra not in (0, 1):
            raise Skipped("its classifier has other layers")

        def weights() -> dict[str, Tensor]:
            found = zip(names, network.state_dict().values(), strict=True)
            return {n: v[extra:].clone() if n.startswith("head") else v.clone() for n, v in found}

        other.load_state_dict(weights())
        first = weights()
        trainer.advance(state, STEPS)
        alone.advance(wanted, STEPS)
    slack = 1e-6 if extra else 0.0
    for name, value in weights().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=slack)
    assert any(not torch.equal(first[name], value) for name, value in weights().items())

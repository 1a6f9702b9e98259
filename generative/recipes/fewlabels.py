"""Recipes that learn to classify from few labels, all examples and what is drawn, under the run's
protocol; and the classifiers that they are compared with.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.core.errors import UsageError
from bench.core.registry import Entry
from generative.classcritics import ClassForm, Dropping
from generative.classheads import Apart, Grounded, Unsure
from generative.contracts import LOSSES, RECIPES
from generative.games.base import Game
from generative.games.context import Context, Holes
from generative.games.sorting import Sortable, Sure
from generative.games.supervised import Supervised
from generative.games.taught import Learning, Taught
from generative.games.triple import Triple, Weights
from generative.parts import TermFacts
from generative.protocols.base import Protocol, protocol_of
from generative.recipes.adversarial import Adversarial
from generative.recipes.playing import Playing
from generative.training import Training

READ = ("steps", "batch", "generator_lr", "critic_lr", "latent")
OWN = {"learning": Learning(), "dropping": Dropping()}
"""What each of these games has beside its own parts: what counts how much, and the dropout of its
classifier, the same for all.
"""
LABELLED_COST = 1.25
"""What a batch with classes adds to a step, about: only a forecast."""


@dataclass(frozen=True)
class Classifying(Playing):
    """A protocol's game whose critic goes without batch norm, so that reals with a class, others
    and fakes are classified alike.
    """

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training)

    def rules(self, training: Training) -> Protocol:
        told = self.entry(training).part.told(training.settings)
        return replace(told, critic=told.critic.unmixed())

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return READ

    @abstractmethod
    def game(self, rules: Any, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Game:
        """The game with these parts."""


def learning_of(parts: Mapping[str, Any]) -> Learning:
    """What counts how much. Raises UsageError where nothing does."""
    found: Learning = parts["learning"]
    if not found.class_weight and not found.unlabelled_weight:
        raise UsageError(
            "class_weight and unlabelled_weight: expected one of them above 0, or the classifier "
            "learns nothing"
        )
    return found


@dataclass(frozen=True)
class Teaching(Classifying):
    """gan: how it is played. form: of its critic, by classes and dropout. share, terms: what the
    critic's own loss counts, and what players minimise in the place of the GAN's losses.
    """

    gan: Adversarial
    form: Callable[..., ClassForm]
    share: float = 1.0
    terms: tuple[tuple[Any, TermFacts], ...] = ()

    def rules(self, training: Training) -> Protocol:
        told = self.gan.rules(training)
        return replace(told, critic=told.critic.unmixed())

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return self.gan.read(settings)

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.gan.parts(settings), **OWN}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Taught:
        learning, plain = learning_of(parts), self.gan.game(rules, parts, shape)
        own = replace(plain, terms=self.terms) if self.terms else plain
        form = partial(self.form, dropout=parts["dropping"].dropout)
        return Taught(own, form, learning, self.share)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return LABELLED_COST * self.gan.effort(rules, usual, parts)


@dataclass(frozen=True)
class Three(Classifying):
    """Of Triple-GAN. loss: of critic and generator."""

    loss: str

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"loss": LOSSES[self.loss].part(), "weights": Weights(), **OWN}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Triple:
        own = parts["loss"], learning_of(parts), parts["weights"]
        return Triple(*own, rules, shape, parts["dropping"].dropout)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return 2.0


@dataclass(frozen=True)
class InContext(Classifying):
    """Of CC-GAN, which needs the layers with batch norm, too. loss: of critic and generator."""

    loss: str

    def rules(self, training: Training) -> Protocol:
        return self.entry(training).part.told(training.settings)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (*READ, "critic_steps")

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"loss": LOSSES[self.loss].part(), "holes": Holes(), **OWN}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Context:
        own = parts["loss"], learning_of(parts), parts["holes"]
        return Context(*own, rules, shape, parts["dropping"].dropout)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return 1.6


@dataclass(frozen=True)
class Alone(Classifying):
    """The classifier without any game. every: told the classes of all examples."""

    every: bool = False

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return "steps", "batch", "critic_lr"

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"dropping": Dropping()}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Supervised:
        return Supervised(rules, shape, self.every, parts["dropping"].dropout)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return 0.25


def _grounded(classes: int, dropout: float) -> ClassForm:
    return ClassForm(classes, Grounded(), dropout=dropout)


def _apart(classes: int, dropout: float) -> ClassForm:
    return ClassForm(classes, Apart(), more=1, dropout=dropout)


def _sorting(classes: int, dropout: float) -> ClassForm:
    return ClassForm(classes, Unsure(), dropout=dropout, outward=True)


_CLASSES: dict[str, Any] = {
    "labelled": True,
    "classifies": True,
    "images_only": "its classes are those of images",
}

# L_unsupervised of section 5 is a cross-entropy of real against fake over as many of either, hence
# half of the sum that `nonsaturating` has for a critic; so has the authors' code.
RECIPES.register(
    "improved-gan",
    paper="arXiv:1606.03498",
    summary="A critic of K classes and one of fakes, told few labels; its generator matches "
    "features (Salimans et al. 2016)",
    parts=("nonsaturating", "feature-matching"),
    **_CLASSES,
)(Teaching(Adversarial("nonsaturating", terms="feature-matching"), _grounded, share=0.5))

RECIPES.register(
    "ssl-gan",
    paper="arXiv:1611.06430",
    summary="A critic that is told few labels and says classes beside a logit (Denton et al. 2016)",
    parts=("nonsaturating",),
    **_CLASSES,
)(Teaching(Adversarial("nonsaturating"), _apart))

RECIPES.register(
    "catgan-labelled",
    paper="arXiv:1511.06390",
    summary="CatGAN whose critic is told the category of few examples (Springenberg 2016)",
    **_CLASSES,
)(
    Teaching(
        Adversarial("nonsaturating"),
        _sorting,
        terms=(
            (Sure(), TermFacts("critic", replaces=True, features=True)),
            (Sortable(), TermFacts("generator", replaces=True, features=True)),
        ),
    )
)

RECIPES.register(
    "triple-gan",
    paper="arXiv:1703.02291",
    summary="A classifier as a third player, told few labels; a critic of pairs (Li et al. 2017)",
    parts=("nonsaturating",),
    **_CLASSES,
)(Three("nonsaturating"))

RECIPES.register(
    "ccgan",
    paper="arXiv:1611.06430",
    summary="A generator that fills holes, a critic that is told few labels (Denton et al. 2016)",
    parts=("nonsaturating",),
    draws=False,
    restores="inpainting",
    **_CLASSES,
)(InContext("nonsaturating"))

RECIPES.register(
    "supervised",
    summary="The classifier of the others on the labelled examples alone",
    role="baseline",
    draws=False,
    **_CLASSES,
)(Alone())

RECIPES.register(
    "supervised-all",
    summary="The same, told the class of every example: what labels could bring",
    role="ceiling",
    draws=False,
    **_CLASSES,
)(Alone(every=True))

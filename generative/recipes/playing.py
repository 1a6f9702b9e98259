"""What recipes of parts share: which settings they read; and the trainer of one game."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bench.core.errors import UsageError
from bench.core.registry import Entry
from generative.contracts import Recipe, Trainer
from generative.dynamics.alternating import ALTERNATING
from generative.dynamics.base import Dynamics
from generative.games.base import Game
from generative.protocols.base import layer_modules, layers_said
from generative.trainers.execution import execution_of, recorded
from generative.trainers.game import GameTrainer
from generative.trainers.succession import Succession
from generative.training import Setting, Training, settings_of, told


@dataclass(frozen=True)
class Parted(Recipe):
    """Made of parts, under the run's protocol. Their settings are settings of its trainings."""

    @abstractmethod
    def entry(self, training: Training) -> Entry[Any, Any]:
        """The protocol that a training is under."""

    @abstractmethod
    def rules(self, training: Training) -> Any:
        """The protocol as it is played: with what recipe and training say in its place."""

    @abstractmethod
    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """The settings of the protocol that it reads where a training says these."""

    @abstractmethod
    def parts(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """What it is made of, by role, with the recipe's own settings; settings of a training may
        choose parts.
        """

    @abstractmethod
    def effort(self, rules: Any, usual: Any, parts: Mapping[str, Any]) -> float:
        """What a step under `rules` takes, over one of a plain game under the usual ones with as
        large a batch, about.
        """

    def own(self) -> dict[str, Setting]:
        """The settings of its parts, by name."""
        found = [settings_of(part) for part in self.parts({}).values()]
        return {name: setting for each in found for name, setting in each.items()}

    @abstractmethod
    def suiting(self, shape: tuple[int, ...]) -> Mapping[str, Any]:
        """The settings that are usual for examples of this shape."""

    def suited(self, training: Training, shape: tuple[int, ...]) -> Training:
        """A training with what is usual for examples of this shape, where it says nothing of it."""
        return training.saying(**{**self.suiting(shape), **training.settings})

    def told_parts(self, training: Training) -> dict[str, Any]:
        """Its parts with what a training says."""
        said = training.settings
        return {role: told(part, said) for role, part in self.parts(said).items()}

    def relevant(self, training: Training) -> dict[str, Any]:
        rules = self.rules(training)
        own = [settings_of(part) for part in self.told_parts(training).values()]
        return {
            "protocol": self.entry(training).name,
            **{name: getattr(rules, name) for name in self.read(training.settings)},
            **layers_said(training),
            **recorded(training),
            **{
                name: setting.default
                for each in own
                for name, setting in each.items()
                if setting.default is not None
            },
        }

    def modules(self, training: Training) -> tuple[str, ...]:
        parts = [type(part).__module__ for part in self.parts(training.settings).values()]
        return (self.entry(training).origin, *_each([*parts, *layer_modules(training)]))

    def seconds(self, training: Training) -> float:
        rules, usual = self.rules(training), self.entry(training).part
        effort = self.effort(rules, usual, self.told_parts(training)) * rules.batch / usual.batch
        return rules.steps * effort * rules.milliseconds / 1000


@dataclass(frozen=True)
class Playing(Parted):
    """A game, or several one after another. on_points: settings that it has on points, where papers
    and defaults are about images. own_layers: whether it has other networks than the protocol's
    for images, and its game itself refuses shapes that they can't take.
    """

    own_layers: ClassVar[bool] = False
    on_points: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @abstractmethod
    def game(
        self, rules: Any, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> Game | Succession:
        """The game with these parts, or games one after another. Raises UsageError where they don't
        go together.
        """

    def suiting(self, shape: tuple[int, ...]) -> Mapping[str, Any]:
        return self.on_points if len(shape) == 1 else {}

    def trainer(self, training: Training, shape: tuple[int, ...]) -> Trainer:
        training = self.suited(training, shape)
        rules, parts = self.rules(training), self.told_parts(training)
        if not self.own_layers or len(shape) == 1:
            _refuse(rules, shape, training)
        dynamics = parts.get("dynamics", ALTERNATING)
        assert isinstance(dynamics, Dynamics)
        game, execution = self.game(rules, parts, shape), execution_of(training)
        dynamics.refuse(game.moves)
        if isinstance(game, Succession):
            return game.trainer(dynamics, execution)
        return GameTrainer(game, dynamics, execution)


def _refuse(rules: Any, shape: tuple[int, ...], training: Training) -> None:
    """Raise UsageError where the networks can't take examples of this shape."""
    try:
        rules.refuse(shape)
    except UsageError as error:
        named = ", ".join(f"{name} '{value}'" for name, value in layers_said(training).items())
        raise (UsageError(f"{named}: {error}") if named else error) from None


def _each(names: Iterable[str]) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(names))

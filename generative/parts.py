"""What else an adversarial game is made of, beside losses, penalties and constraints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.core.registry import NoFacts, Registry
from generative.contracts import Codes, Logits, Loss
from generative.networks import Network, Shape

Scalar = float | Tensor
Prior = Literal["normal", "uniform"]


class Moving(ABC):
    """A part with numbers that training moves: fields of its own that are no settings, each a
    number at first. They are kept beside the weights, and put into it anew for every move.
    """

    @abstractmethod
    def moved(self, real: Logits, fake: Logits, epoch: int) -> Mapping[str, Scalar]:
        """New values of such fields after a step of the critic, from the logits of that step.
        epoch: how often the training has been through its examples.
        """


class Sighted(ABC):
    """A loss that looks at the examples themselves, too."""

    @abstractmethod
    def seeing(self, real: Tensor, fake: Tensor) -> Loss:
        """The loss of these examples [n, ...] as they are, before any view; fakes with the graph
        that they have.
        """


class Priored(ABC):
    """A part that reads codes, and needs to know of which prior they are."""

    @abstractmethod
    def of_prior(self, prior: Prior) -> Any:
        """The same for codes of this prior."""


class Switchable(ABC):
    """A form that some settings switch off."""

    @property
    @abstractmethod
    def off(self) -> bool:
        """Whether players are as the protocol has them."""


class View(ABC):
    """What the critic sees of reals and fakes alike, in its own steps and in the generator's."""

    @abstractmethod
    def shape(self, shape: Shape) -> Shape:
        """Of what it sees of examples of a shape. Raises UsageError for those it can't show."""

    @abstractmethod
    def __call__(self, x: Tensor, rng: torch.Generator, progress: float) -> Tensor:
        """Examples [n * together, ...] as it sees them, [n, ...], with their graph. progress: the
        share of the training that is done.
        """

    @abstractmethod
    def together(self) -> int:
        """How many examples it sees at once."""


@dataclass(frozen=True)
class ViewFacts:
    """images_only: why it is nothing for points, or empty."""

    images_only: str = ""


Judged = tuple[Logits, Tensor]
"""The critic's logits and features of a batch, [n] and [n, d]."""

Told = tuple[Tensor, ...]
"""What the players are told of a batch, such as its classes [n], or nothing."""


class Sight:
    """What a term sees, each drawn or computed where it is first asked for. loss: the recipe's."""

    def __init__(
        self,
        loss: Loss,
        real: Callable[[], Tensor],
        fake: Callable[[], Tensor],
        codes: Callable[[], Codes],
        of_real: Callable[[], Judged],
        of_fake: Callable[[], Judged],
        epoch: Callable[[], int],
        stake: Callable[[Sight], Tensor],
        filters: Callable[[], Sequence[Tensor]] = tuple,
        told_of_real: Callable[[], Told] = tuple,
        told_of_fake: Callable[[], Told] = tuple,
    ) -> None:
        self.loss, self._epoch, self._stake = loss, epoch, stake
        self._filters, self._told = filters, (told_of_real, told_of_fake)
        self._examples, self._judged, self._codes = (real, fake), (of_real, of_fake), codes

    def stake(self) -> Tensor:
        """The player's own loss of each of the batch."""
        return self._stake(self)

    @property
    def epoch(self) -> int:
        """How often the training has been through its examples."""
        return self._epoch()

    @property
    def filters(self) -> Sequence[Tensor]:
        """The weights of the layers of the player whose term it is, linear and convolutional."""
        return self._filters()

    @cached_property
    def real(self) -> Tensor:
        """Reals: the critic's where it moves, else the next batch."""
        return self._examples[0]()

    @cached_property
    def fake(self) -> Tensor:
        """Fakes, with the graph of who moves."""
        return self._examples[1]()

    @cached_property
    def codes(self) -> Codes:
        """What the fakes were made of."""
        return self._codes()

    @cached_property
    def of_real(self) -> Judged:
        """Logits and features of the reals."""
        return self._judged[0]()

    @cached_property
    def of_fake(self) -> Judged:
        """Logits and features of the fakes."""
        return self._judged[1]()

    @property
    def told_of_real(self) -> Told:
        """What the players are told of the reals: their classes."""
        return self._told[0]()

    @property
    def told_of_fake(self) -> Told:
        """What they are told of the fakes: the classes that were asked for."""
        return self._told[1]()


class Term(ABC):
    """A summand of one player beside its loss, over examples, codes, logits or features."""

    @property
    @abstractmethod
    def weight(self) -> float:
        """What it is multiplied by."""

    @abstractmethod
    def __call__(self, sight: Sight) -> Tensor:
        """The term, unreduced where its definition has a value for each of the batch."""


@dataclass(frozen=True)
class TermFacts:
    """player: whose. replaces: whether it stands in the place of the player's loss. features:
    whether it looks at the critic's. told: whether those are logits of the classes that the players
    are told.
    """

    player: Literal["generator", "critic"]
    replaces: bool = False
    features: bool = False
    told: bool = False


class CriticForm(ABC):
    """What a critic is made of a protocol's layers: examples to logits, and its features."""

    @abstractmethod
    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        """A module whose pass gives logits [n] of examples [n, *shape], and with `features=True`
        logits and features [n, d]. Raises UsageError for a shape it can't do.
        """


@dataclass(frozen=True)
class CriticFacts:
    """batchwise: an example's logit depends on its batch mates. unmixed: it goes without batch
    norm. cost: what a step takes over one of the plain critic, about; pair_cost: milliseconds that
    it takes more for each pair of a batch. Only forecasts.
    """

    batchwise: bool = False
    unmixed: bool = False
    cost: float = 1.0
    pair_cost: float = 0.0


class GeneratorForm(ABC):
    """What a generator is made of a protocol's layers."""

    @abstractmethod
    def build(self, generator: Network, latent: int, shape: Shape, batch: int) -> nn.Module:
        """Codes [n, latent] to examples [n, *shape]. Raises UsageError for layers it can't be made
        of.
        """

    @abstractmethod
    def begin(self, network: nn.Module, codes: Codes) -> None:
        """What is drawn before the first step; codes: a batch of the prior."""


VIEWS: Registry[View, ViewFacts] = Registry("view", ViewFacts, listed_as="views")
TERMS: Registry[Term, TermFacts] = Registry("term", TermFacts, listed_as="terms")
CRITICS: Registry[CriticForm, CriticFacts] = Registry("critic", CriticFacts, listed_as="critics")
GENERATORS: Registry[GeneratorForm, NoFacts] = Registry(
    "generator", NoFacts, listed_as="generators"
)

"""What the parts of this package promise one another: Loss, Trainer, Fitted, Recipe.

The data of a run (`Data`, `Batches`) are described by shape, not by class: whoever calls a
trainer brings them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bench.registry import Registry

Logits = Float[Tensor, " batch"]
"""The critic's outputs for a batch."""

Points = Float[np.ndarray, "n d"]
"""Points in a space of d dimensions."""

PerPoint = Float[np.ndarray, " n"]
"""A number for each of some points."""

Tree = Any
"""A tree of dicts and lists with tensors, numbers, strings and None as leaves."""


@runtime_checkable
class Batches(Protocol):
    """An endless stream of training batches that knows its position."""

    def next(self, n: int) -> Tensor: ...
    def position(self) -> dict[str, Tensor]: ...
    def seek(self, position: dict[str, Tensor]) -> None: ...


@runtime_checkable
class Density(Protocol):
    """Anything with a log density in nats: [n, d] to [n]."""

    def log_prob(self, x: Points) -> PerPoint: ...


@runtime_checkable
class Data(Protocol):
    """The data of one data set and seed."""

    shape: tuple[int, ...]
    device: str
    modes: int

    @property
    def training(self) -> Tensor: ...
    @property
    def density(self) -> Density | None: ...
    def batches(self) -> Batches: ...
    def fresh(self, n: int, rng: torch.Generator) -> Tensor: ...


class Loss(ABC):
    """An adversarial objective over logits. Both results are unreduced and both are minimised.

    `real` and `fake` are the critic's outputs, [batch]. A relativistic loss compares the two;
    the others ignore `real` in `generator`.
    """

    @abstractmethod
    def critic(self, real: Logits, fake: Logits) -> Logits:
        """What the critic minimises, [batch]."""

    @abstractmethod
    def generator(self, real: Logits, fake: Logits) -> Logits:
        """What the generator minimises, [batch]."""


@dataclass(frozen=True)
class LossFacts:
    """relativistic: the generator's loss needs the real logits, and a constant added to all
    logits changes nothing. batchwise: mixes the samples of a batch, so that a batch's loss is
    not its samples' losses. known_issue: why a law is known not to hold (strict xfail).
    """

    relativistic: bool = False
    batchwise: bool = False
    known_issue: str = ""


class Fitted(ABC):
    """A trained model. What it can do is its type: see Sampler and Density."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All that is needed to restore it."""


class Sampler(Fitted):
    """A model that draws samples."""

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` samples, [n, ...], on the generator's device."""


class DensitySampler(Sampler):
    """A sampler whose log density is known."""

    @abstractmethod
    def log_prob(self, x: Points) -> PerPoint:
        """Log density in nats, [n, d] to [n]."""


class Diverged(Exception):
    """Training has left the finite numbers; the message says what was not finite."""


class Trainer(ABC):
    """A model's training as a state machine.

    `advance` may change the state it is given; use the one it returns. Two states with equal
    `pack` go on to equal states, bit for bit on the same machine.
    """

    @property
    @abstractmethod
    def steps(self) -> int:
        """How many steps make a full training."""

    @abstractmethod
    def start(self, data: Data, rng: torch.Generator) -> Any:
        """The state before the first step."""

    @abstractmethod
    def advance(self, state: Any, steps: int) -> Any:
        """The state some steps on. Raises Diverged where a parameter or loss is not finite."""

    @abstractmethod
    def finish(self, state: Any) -> Sampler:
        """The model as trained so far; the state can still advance."""

    @abstractmethod
    def pack(self, state: Any) -> Tree:
        """The whole state as a tree: weights, optimisers, buffers, random state, position."""

    @abstractmethod
    def unpack(self, data: Data, tree: Tree) -> Any:
        """The state that `pack` described."""

    @abstractmethod
    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        """The fitted model that `Fitted.tensors` described."""


@dataclass(frozen=True)
class Training:
    """The settings a training can take; None means what the protocol says."""

    protocol: str
    steps: int | None = None
    batch: int | None = None
    critic_steps: int | None = None
    generator_lr: float | None = None
    critic_lr: float | None = None


class Recipe(ABC):
    """A frozen record: what to train and how. A variant is a recipe, not a subclass."""

    @abstractmethod
    def relevant(self, training: Training) -> dict[str, Any]:
        """The settings that this recipe reads, resolved: they name what was trained."""

    @abstractmethod
    def modules(self, training: Training) -> tuple[str, ...]:
        """The modules that make it, beside its own: their source is part of its identity."""

    @abstractmethod
    def trainer(self, training: Training, shape: tuple[int, ...]) -> Trainer:
        """The trainer for data of one shape."""

    @abstractmethod
    def seconds(self, training: Training) -> float:
        """About how long a training takes on one core of 2025."""


Role = Literal["model", "baseline", "ceiling", "floor"]


@dataclass(frozen=True)
class RecipeFacts:
    """role: a model to be compared, a baseline by another principle, or the best and worst a
    score can show. parts: the registered parts it is made of, cited with it.
    """

    role: Role = "model"
    parts: tuple[str, ...] = ()
    known_issue: str = ""


LOSSES: Registry[type[Loss], LossFacts] = Registry("loss", LossFacts, listed_as="losses")
RECIPES: Registry[Recipe, RecipeFacts] = Registry("model", RecipeFacts, listed_as="models")

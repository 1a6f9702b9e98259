"""What a classifier promises: a network for images of a shape, and how its weights are found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from bench.core.registry import Registry

Shape = tuple[int, ...]

Confidence = Literal["softmax", "exp"]
"""How a logit becomes the probability of its class: among all classes, or by itself."""


class Classifier(ABC):
    """Images [n, channels, h, w] in [0, 1] to logits [n, classes]."""

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """The network, its weights not found yet (drawn from torch's global generator).

        Raises UsageError for a shape or a number of classes that it can't do.
        """

    @abstractmethod
    def train(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        """Find the weights; randomness comes from torch's global generator."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that decides the weights beside data, seed and code."""

    @abstractmethod
    def seconds(self, examples: int) -> float:
        """A forecast of the training on one core."""


class Ensemble(ABC):
    """A classifier made of others, each trained by itself."""

    member: str
    count: int

    @abstractmethod
    def combine(self, members: Sequence[nn.Module]) -> nn.Module:
        """One network out of the members."""


class Ready(ABC):
    """A classifier whose weights come with it."""

    @property
    @abstractmethod
    def missing(self) -> str:
        """Why it is not here and how to get it; empty where it is."""

    @abstractmethod
    def load(self) -> nn.Module:
        """The network in evaluation mode. Raises UsageError where its file is not the known one."""


@dataclass(frozen=True)
class ClassifierFacts:
    """confidence: how a logit becomes a probability. trained_against: the attack that
    it was trained to withstand, or empty. inputs: the shape of the images it reads where it reads
    no other. classes: how many it tells apart where that is fixed.
    """

    confidence: Confidence = "softmax"
    trained_against: str = ""
    inputs: Shape = ()
    classes: int = 0


CLASSIFIERS: Registry[Classifier | Ensemble | Ready, ClassifierFacts] = Registry(
    "classifier", ClassifierFacts, listed_as="classifiers"
)

"""What a classifier promises: a network for images of a shape, and how its weights are found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
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


@dataclass(frozen=True)
class Prior:
    """A registered generative model that a defence rests on, and how it is trained: a protocol by
    name, and settings of the training, (name, value) each.
    """

    recipe: str
    protocol: str
    settings: tuple[tuple[str, Any], ...] = ()


class Decoder(nn.Module):
    """A trained generator: codes [n, latent] to images [n, channels, h, w] in [0, 1], each by
    itself. drawn: what its codes were drawn from in training, N(0, I) or uniform on [-1, 1].
    """

    def __init__(
        self, network: nn.Module, latent: int, drawn: Literal["normal", "uniform"]
    ) -> None:
        super().__init__()
        self.network, self.latent, self.drawn = network.eval(), latent, drawn

    def forward(self, codes: Tensor) -> Tensor:
        return self.network(codes)

    def codes(self, n: int) -> Tensor:
        """Codes as it was trained on, [n, latent], from torch's global generator."""
        if self.drawn == "normal":
            return torch.randn(n, self.latent)
        return 2 * torch.rand(n, self.latent) - 1


class Defended(ABC):
    """A classifier behind a defence. member: the classifier, registered and trained as ever, of the
    same seed. prior: the generative model that the defence needs, trained on the same images, or
    None.
    """

    member: str
    prior: Prior | None = None

    @abstractmethod
    def build(self, member: nn.Module, decoder: Decoder | None, shape: Shape) -> nn.Module:
        """The member behind the defence; what the defence has of its own is drawn from torch's
        global generator. Raises UsageError for a shape that it can't do.
        """

    @abstractmethod
    def train(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        """Find what the defence has of its own, the member's weights and the decoder's as they are;
        randomness comes from torch's global generator. Ends in evaluation mode.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that decides it beside data, seed, code, member and prior."""

    @abstractmethod
    def seconds(self, examples: int) -> float:
        """A forecast of `train` on one core."""


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


AnyClassifier = Classifier | Ensemble | Defended | Ready
"""Whatever a classifier is made of."""

CLASSIFIERS: Registry[AnyClassifier, ClassifierFacts] = Registry(
    "classifier", ClassifierFacts, listed_as="classifiers"
)

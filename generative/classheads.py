"""Critics that say which class they see: beside the logit (AC-GAN), or instead of it (AM-GAN)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.conditioning import OfClasses
from generative.contracts import Labels, Logits
from generative.networks import Network, Shape

Outputs = Float[Tensor, "n outputs"]
ClassLogits = Float[Tensor, "n classes"]


class Reading(ABC):
    """What the outputs of a critic mean."""

    @abstractmethod
    def split(self, outputs: Outputs) -> tuple[Logits, ClassLogits]:
        """How real an example looks, and the logits of its classes, before any softmax."""


@dataclass(frozen=True)
class Apart(Reading):
    """The first output is the logit, the others are the classes' (Odena et al. 2017, section 3)."""

    def split(self, outputs: Outputs) -> tuple[Logits, ClassLogits]:
        return outputs[:, 0], outputs[:, 1:]


@dataclass(frozen=True)
class FakeClass(Reading):
    """The last output l_{K+1} is that of a class of fakes (Salimans et al. 2016, section 5; Zhou et
    al. 2018, section 2.1): the logit is log sum_k exp(l_k) - l_{K+1} over the K real classes, so
    that its sigmoid is the softmax's share of them. A number added to all outputs changes nothing.
    """

    def split(self, outputs: Outputs) -> tuple[Logits, ClassLogits]:
        real = outputs[:, :-1]
        return torch.logsumexp(real, 1) - outputs[:, -1], real


@dataclass(frozen=True)
class Grounded(Reading):
    """The outputs are those of the real classes, and l_{K+1} of fakes is 0, which takes nothing
    from what K + 1 of them can say (Salimans et al. 2016, section 5): the logit is log sum_k
    exp(l_k).
    """

    def split(self, outputs: Outputs) -> tuple[Logits, ClassLogits]:
        return torch.logsumexp(outputs, 1), outputs


@dataclass(frozen=True)
class Unsure(Reading):
    """The outputs are those of the classes; the logit is minus the entropy of what they say, high
    for what is surely of one (Springenberg 2016).
    """

    def split(self, outputs: Outputs) -> tuple[Logits, ClassLogits]:
        logs = torch.log_softmax(outputs, 1)
        return (logs.exp() * logs).sum(1), outputs


class Classifying(nn.Module):
    """A critic that is told no class, and says one: its features are the logits of the classes."""

    def __init__(self, network: nn.Module, reading: Reading) -> None:
        super().__init__()
        self.network, self.reading = network, reading

    def forward(self, x: Tensor, labels: Labels, features: bool = False) -> Any:
        logits, classes = self.reading.split(self.network(x))
        return (logits, classes) if features else logits


@dataclass(frozen=True)
class ClassHead(OfClasses):
    """The protocol's critic with one output more than there are classes. The generator's label
    joins its code.
    """

    reading: Reading
    headed: ClassVar[bool] = True

    def critic(self, network: Network, shape: Shape, told: int) -> nn.Module:
        return Classifying(network.encoder(shape, told + 1), self.reading)

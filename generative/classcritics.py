"""Critics that are told no class and say one: of an example a logit, and logits of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.classheads import Reading
from generative.networks import Network, Shape, layers_of
from generative.parts import CriticForm
from generative.training import Bounds

OF_INPUTS = 0.4
"""The share of what is dropped of hidden values that is dropped of inputs: .2 for .5, as in the
convolutional networks of Salimans et al. (2016).
"""
Activations = nn.LeakyReLU | nn.ReLU | nn.Tanh | nn.SiLU | nn.Sigmoid


@dataclass(frozen=True)
class Dropping:
    """dropout: the probability that a hidden value of a critic that says classes is set to 0 in
    training, after each activation; an input's is `OF_INPUTS` of it.
    """

    dropout: Annotated[float, Bounds(ge=0, le=0.9)] = 0.5


class ClassCritic(nn.Module):
    """Examples [n, ...] to logits [n]; with `features=True` to what the last layer sees, too, or,
    where it is `outward`, to the logits of the classes; with `classes=True` to those alone, before
    any softmax.
    """

    def __init__(
        self, body: nn.Module, head: nn.Linear, reading: Reading, outward: bool = False
    ) -> None:
        super().__init__()
        self.body, self.head, self.reading, self._outward = body, head, reading, outward

    def forward(self, x: Tensor, features: bool = False, classes: bool = False) -> Any:
        seen = self.body(x).flatten(1)
        logits, said = self.reading.split(self.head(seen))
        if classes:
            return said
        if not features:
            return logits
        return logits, (said if self._outward else seen)


@dataclass(frozen=True)
class ClassForm(CriticForm):
    """The protocol's critic with several outputs. more: how many beside those of the classes.
    dropout: of hidden values. outward: whether its features are the logits of the classes.
    """

    classes: int
    reading: Reading
    more: int = 0
    dropout: float = 0.0
    outward: bool = False

    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        *body, head = layers_of(critic.encoder(shape, self.classes + self.more))
        if not isinstance(head, nn.Linear):
            raise UsageError(
                "a critic that says classes: expected layers that end in a linear one, got "
                f"{type(head).__name__}: choose another protocol"
            )
        kept = _dropping(body, self.dropout) if self.dropout else body
        return ClassCritic(nn.Sequential(*kept), head, self.reading, self.outward)


def _dropping(layers: list[nn.Module], share: float) -> list[nn.Module]:
    """The same layers with some values dropped: of what they see, and after each activation."""
    found: list[nn.Module] = [nn.Dropout(OF_INPUTS * share)]
    for layer in layers:
        found.append(layer)
        if isinstance(layer, Activations):
            found.append(nn.Dropout(share))
    return found


def log_classes(critic: nn.Module, x: Tensor) -> Tensor:
    """Of examples the log probability of each class, [n, classes], by such a critic."""
    with torch.set_grad_enabled(x.requires_grad):
        return torch.log_softmax(critic(x, classes=True), 1)

"""Critics that are told no class and say one: of an example its logit, and the logits of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.classheads import Reading
from generative.networks import Network, Shape, layers_of
from generative.parts import CriticForm


class ClassCritic(nn.Module):
    """Examples [n, ...] to logits [n]; with `features=True` to what the last layer sees, too, and
    with `classes=True` to the logits of the classes alone, before any softmax.
    """

    def __init__(self, body: nn.Module, head: nn.Linear, reading: Reading) -> None:
        super().__init__()
        self.body, self.head, self.reading = body, head, reading

    def forward(self, x: Tensor, features: bool = False, classes: bool = False) -> Any:
        seen = self.body(x).flatten(1)
        logits, said = self.reading.split(self.head(seen))
        if classes:
            return said
        return (logits, seen) if features else logits


@dataclass(frozen=True)
class ClassForm(CriticForm):
    """The protocol's critic with several outputs. more: how many beside those of the classes."""

    classes: int
    reading: Reading
    more: int = 0

    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        *body, head = layers_of(critic.encoder(shape, self.classes + self.more))
        if not isinstance(head, nn.Linear):
            raise UsageError(
                "a critic that says classes: expected layers that end in a linear one, got "
                f"{type(head).__name__}: choose another protocol"
            )
        return ClassCritic(nn.Sequential(*body), head, self.reading)


def log_classes(critic: nn.Module, x: Tensor) -> Tensor:
    """Of examples the log probability of each class, [n, classes], by such a critic."""
    with torch.set_grad_enabled(x.requires_grad):
        return torch.log_softmax(critic(x, classes=True), 1)

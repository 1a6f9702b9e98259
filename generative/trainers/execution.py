"""How a step is computed: memory format, precision, compiled or not. None changes what is trained,
all change its last bits, so they are settings of the training.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from generative.training import ANY, Setting, Training

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Execution:
    """channels_last: convolutions read and write pixels by their channels (NHWC), which tensor
    cores want. precision: of the players' forward and backward passes; weights, penalties, losses
    and optimisers stay in float32. compiled: the players' passes go through torch.compile.
    """

    channels_last: bool = False
    precision: Precision = "float32"
    compiled: bool = False

    def prepared(self, network: nn.Module) -> nn.Module:
        """A network as it is to be trained; its weights keep their names. One without a pass of its
        own is prepared by its parts.
        """
        if self.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.compiled:
            passing = type(network).forward is not nn.Module.forward
            for part in [network] if passing else network.children():
                part.compile()
        return network

    def passes(self, device: str) -> AbstractContextManager:
        """The context of a forward pass."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(torch.device(device).type, torch.bfloat16)


PLAIN = Execution()
EXECUTION = {
    "channels_last": Setting(bool | None, None, ANY),
    "precision": Setting(Precision | None, None, ANY),
    "compiled": Setting(bool | None, None, ANY),
}
"""Settings of every training."""


def execution_of(training: Training) -> Execution:
    """What a training asks for."""
    return Execution(**{k: v for k, v in training.settings.items() if k in EXECUTION})


def recorded(training: Training) -> dict[str, bool | str]:
    """The settings of it that differ from the usual: they stand on the rows."""
    chosen = execution_of(training)
    return {name: value for name, value in vars(chosen).items() if value != getattr(PLAIN, name)}

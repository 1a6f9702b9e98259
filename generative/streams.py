"""Random streams of several trainings that go side by side: of what is drawn each has every k-th
row, in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Streams:
    """One stream each, all on one device."""

    each: Sequence[torch.Generator]

    @property
    def device(self) -> torch.device:
        return self.each[0].device

    def beside(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """What each draws, [n * streams, ...] where one draws [n, ...]."""
        return in_turn([draw(one) for one in self.each])


def in_turn(each: Sequence[Tensor]) -> Tensor:
    """Rows [n, ...] of several as one, [n * several, ...]: the first of each, then the second."""
    return torch.stack([*each], 1).flatten(0, 1)


def by_training(values: Tensor, count: int) -> Tensor:
    """The mean over the rows of each of so many, [count], of values [n * count]."""
    return values.reshape(-1, count).mean(0)

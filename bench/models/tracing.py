"""What is told of single steps of a training: losses, gradients, logits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from generative import Traced
from results.traces import TRACE


@dataclass
class Trace:
    """By name the steps and what was noted of them, rising."""

    steps: dict[str, list[int]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Trace:
        """Of what `tree` gave."""
        found = cls()
        for name, (steps, values) in tree.items():
            found.steps[name], found.values[name] = steps.tolist(), values.tolist()
        return found

    def add(self, told: Iterable[Traced]) -> None:
        """What a trainer told."""
        for step, noted in told:
            for name, value in noted.items():
                self.steps.setdefault(name, []).append(step)
                self.values.setdefault(name, []).append(value)

    def tree(self) -> dict[str, Any]:
        """As a tree of tensors."""
        return {
            name: [torch.tensor(steps), torch.tensor(self.values[name], dtype=torch.float64)]
            for name, steps in self.steps.items()
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Each [2, n], steps above values."""
        return {
            TRACE + name: np.array([steps, self.values[name]]) for name, steps in self.steps.items()
        }

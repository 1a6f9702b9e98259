"""What the critic of points in the plane thinks of every place around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bench.datasets import Source
from generative import ConditionalSampler, Contested

GRID = 48
"""Places along a side at which it is asked."""
MARGIN = 1.25
"""How far around the training examples."""


@dataclass(frozen=True, eq=False)
class Field:
    """logits: on a grid, rows from below. reach: the grid's half side; its middle is 0."""

    logits: Float[Tensor, "grid grid"]
    reach: float


def field_of(fitted: Any, source: Source, reach: float = 0.0) -> Field | None:
    """Of a model as trained so far; None of one without a critic of single examples, or of examples
    that are no points in the plane. reach: where 0, by the training examples.
    """
    if source.shape != (2,) or not isinstance(fitted, Contested):
        return None
    if isinstance(fitted, ConditionalSampler):
        return None
    reach = reach or reach_of(source)
    along = torch.linspace(-reach, reach, GRID, device=source.device)
    down, across = torch.meshgrid(along, along, indexing="ij")
    grid = torch.stack([across.flatten(), down.flatten()], 1)
    with torch.no_grad():
        return Field(fitted.logits(grid).reshape(GRID, GRID).float().cpu(), reach)


def reach_of(source: Source) -> float:
    """Around its training examples."""
    return MARGIN * float(source.training.abs().max())

"""A training as a film: what the same noise becomes, frame by frame, and what the critic thinks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.datasets import Source
from bench.datasets.pixels import to_bytes
from bench.models.fields import field_of, reach_of

POINTS, IMAGES = 1_000, 64
"""Samples in a frame."""


@dataclass
class Film:
    """steps: of each frame. frames: samples of one noise, [n, ...] each, images as bytes. fields:
    of points in the plane what the critic thinks, see `Field`, [grid, grid] each, as far as reach.
    """

    steps: list[int] = field(default_factory=list)
    frames: list[Tensor] = field(default_factory=list)
    fields: list[Tensor] = field(default_factory=list)
    reach: float = 0.0

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Film:
        """Of what `tree` gave."""
        frames, fields = ([each.cpu() for each in tree[name]] for name in ("frames", "fields"))
        return cls(list(tree["steps"]), frames, fields, float(tree["reach"]))

    def tree(self) -> dict[str, Any]:
        """As a tree of tensors."""
        told = {"steps": self.steps, "frames": self.frames, "fields": self.fields}
        return {**told, "reach": self.reach}

    def arrays(self) -> dict[str, np.ndarray]:
        """Frames [times, n, ...], fields [times, grid, grid] where a critic was asked at each."""
        frames = torch.stack(self.frames).numpy() if self.frames else np.empty(0)
        whole = len(self.fields) == len(self.frames)
        fields = torch.stack(self.fields).numpy() if whole and self.fields else np.empty(0)
        return {"frames": frames, "fields": fields, "steps": np.array(self.steps)}

    def shoot(self, fitted: Any, source: Source, rng: torch.Generator, step: int) -> None:
        """Add a frame of a model as trained so far. rng: the same at every frame."""
        with torch.no_grad():
            samples = fitted.sample(IMAGES if len(source.shape) > 1 else POINTS, rng).cpu()
            if source.shape == (2,):
                self.reach = self.reach or reach_of(source)
            if (field := field_of(fitted, source, self.reach)) is not None:
                self.fields.append(field.logits)
        self.frames.append(samples if source.box is None else to_bytes(samples.nan_to_num()))
        self.steps.append(step)


def shots(total: int, frames: int) -> list[int]:
    """The steps of so many frames: the start, the end, and equal parts between; of one frame the
    end. None of a model made in one step.
    """
    if frames < 2 or total < 2:
        return [total] if frames == 1 and total > 1 else []
    parts = min(total, frames - 1)
    return [0, *(math.ceil(total * (i + 1) / parts) for i in range(parts))]

"""Sheets: the images of a cell that are kept to be looked at."""

from __future__ import annotations

from torch import Tensor

from bench.datasets.pixels import to_bytes
from bench.tasks.generation.experiment import Arrays


def sheet(most: int, **shown: Tensor) -> Arrays:
    """The first images of each [n, c, h, w], at most so many, as bytes, under its name."""
    return {name: to_bytes(images[:most]).cpu().numpy() for name, images in shown.items()}

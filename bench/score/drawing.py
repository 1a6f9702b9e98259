"""A sampling function in the place of samples: as many are drawn as there are real ones."""

from __future__ import annotations

from typing import Any

import torch

from bench.core import usercode
from bench.core.usercode import blamed
from bench.datasets import DATASETS
from bench.datasets.base import Dataset
from bench.datasets.named import read_name
from bench.score.kept import Kept
from bench.score.samples import Samples, of_array
from generative.recipes.given import Draw, draw, sampling_in

MOST = 100_000


def sampler_in(given: Any) -> Draw | None:
    """The function that was given, or that a name stands for; None for samples. Raises UsageError
    where the module of a name can't be imported.
    """
    if not isinstance(given, str):
        return None if hasattr(given, "__array__") else sampling_in(given)
    if given in DATASETS or ":" not in given:
        return None
    if not usercode.is_file(given.partition(":")[0]) and read_name(given).kind != "users":
        return None
    part = usercode.load(given)
    return None if isinstance(part, Dataset) else sampling_in(part)


def size_of(samples: Samples) -> int:
    """How many there are, and no more than anyone scores."""
    n = samples.features.n if isinstance(samples, Kept) else len(samples)
    return min(n, MOST)


def draw_samples(function: Draw, n: int, given: Any, seed: int) -> Samples:
    """`n` samples of a function, from a seed. Raises UsageError for whatever it raises."""
    name = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    with blamed(f"FAKE {name}"):
        samples = draw(function, n, torch.Generator().manual_seed(seed), seed)
    return of_array(samples.numpy(), name)

"""A sampling function of the user's own as a model: nothing is trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.contracts import RECIPES, Data, Recipe, Sampler
from generative.recipes.references import Fixed
from generative.trainers.fit import FitTrainer

Draw = Callable[..., Any]
"""`(n)`, `(n, rng)` with a torch.Generator, or `(n, seed)` with a whole number, to n samples."""


def draw(function: Draw, n: int, rng: torch.Generator) -> Tensor:
    """`n` samples of a function, float32 [n, ...]; bytes are images, channels last come first.

    Raises UsageError where they are not n numbers of anything.
    """
    name = getattr(function, "__name__", "the function")
    try:
        found = function(n, *_second(function, rng))
    except Exception as error:
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise
        raise UsageError(f"{name}({n}) failed: {error}") from error  # compiled: it has no lines
    samples = torch.as_tensor(np.asarray(found) if isinstance(found, list | tuple) else found)
    if samples.ndim < 2 or len(samples) != n or samples.is_complex():
        raise UsageError(
            f"{name}({n}) gave {list(samples.shape)} of {samples.dtype}: expected {n} samples, "
            "[n, d] or [n, c, h, w]"
        )
    if samples.dtype == torch.uint8:
        samples = samples / 255
    if samples.ndim == 4 and samples.shape[1] not in (1, 3) and samples.shape[-1] in (1, 3):
        samples = samples.permute(0, 3, 1, 2)
    return samples.detach().float().to(rng.device).contiguous()


def _second(function: Draw, rng: torch.Generator) -> tuple[Any, ...]:
    """What a function is given beside n: nothing, the generator, or a seed drawn from it."""
    try:
        asked = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return ()
    positional = [p for p in asked if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:
        return ()
    if "seed" in positional[1].name:
        return (int(torch.randint(2**31, (), generator=rng, device=rng.device)),)
    return (rng,) if positional[1].default in (positional[1].empty, None) else ()


class Given(Sampler):
    """Samples of a function, each of the shape of the data."""

    def __init__(self, function: Draw, shape: tuple[int, ...]) -> None:
        self._function, self._shape = function, shape

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        samples = draw(self._function, n, rng)
        if tuple(samples.shape[1:]) != self._shape:
            raise UsageError(
                f"expected samples of the shape of the data, {list(self._shape)}, got "
                f"{list(samples.shape[1:])}"
            )
        return samples

    def tensors(self) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class GivenTrainer(FitTrainer):
    """Nothing is trained."""

    function: Draw

    def fit(self, data: Data, seed: int) -> Sampler:
        return Given(self.function, tuple(data.training.shape[1:]))

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        return self.fit(data, 0)


def is_sampling(part: object) -> bool:
    """Whether a part of the user's is a function that may draw samples."""
    return callable(part) and not isinstance(part, type | nn.Module | Recipe)


@RECIPES.adopt
def recipe_of_function(part: object) -> Recipe | None:
    """A model of a sampling function; None for what is none."""
    return Fixed(GivenTrainer(cast(Draw, part))) if is_sampling(part) else None

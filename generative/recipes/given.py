"""A generator of the user's own in code: a function that draws samples, or what has `sample`."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.digests import digest_of
from bench.core.errors import UsageError
from bench.core.trees import dump
from bench.core.usercode import blamed
from generative.contracts import RECIPES, Data, Recipe, Sampler
from generative.recipes.ready import Contents, Ready
from generative.training import Training

Draw = Callable[..., Any]
"""`(n)`, `(n, rng)` with a torch.Generator, or `(n, seed)` with a whole number, to n samples."""


def draw(function: Draw, n: int, rng: torch.Generator, seed: int) -> Tensor:
    """`n` samples of a function, float32 [n, ...]; bytes are images, channels last come first.

    Raises UsageError where they are not n numbers of anything.
    """
    name = getattr(function, "__qualname__", "the function")
    try:
        found = function(n, *_second(function, rng, seed))
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


def _second(function: Draw, rng: torch.Generator, seed: int) -> tuple[Any, ...]:
    """What a function is given beside n: nothing, the generator, or the seed."""
    try:
        asked = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return ()
    positional = [p for p in asked if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:
        return ()
    if "seed" in positional[1].name:
        return (seed,)
    return (rng,) if positional[1].default in (positional[1].empty, None) else ()


class Given(Sampler):
    """Samples of a function, each of the shape of the data."""

    def __init__(self, function: Draw, shape: tuple[int, ...], seed: int) -> None:
        self._function, self._shape, self._seed = function, shape, seed

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        samples = draw(self._function, n, rng, self._seed)
        if tuple(samples.shape[1:]) != self._shape:
            raise UsageError(
                f"expected samples of the shape of the data, {list(self._shape)}, got "
                f"{list(samples.shape[1:])}"
            )
        return samples

    def tensors(self) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class Code(Ready):
    """A function, or an object whose method it is. part: what was named, for what it holds."""

    function: Draw
    part: object = None

    def load(self, training: Training, data: Data, seed: int) -> Sampler:
        return Given(self.function, tuple(data.shape), seed)

    def contents(self, origin: str) -> Contents:
        """Of an object that holds weights, those too."""
        found = hashlib.sha256(digest_of([origin]).encode())
        part = self.part
        if isinstance(part, nn.Module):
            found.update(dump(dict(part.state_dict())))
        return Contents(found.hexdigest())


def is_sampling(part: object) -> bool:
    """Whether a part of the user's is a function that may draw samples."""
    return callable(part) and not isinstance(part, type | nn.Module | Recipe)


def sampling_in(part: object) -> Draw | None:
    """What draws samples of a part of the user's: the method `sample` of an object, or of what a
    class makes; a function itself; None for what draws none.
    """
    if isinstance(part, Recipe):
        return None
    if isinstance(part, type) and callable(getattr(part, "sample", None)):
        with blamed(f"{part.__name__}()"):
            part = part()
    method = getattr(part, "sample", None)
    if callable(method) and not isinstance(part, type):
        return method
    found: Any = part
    return found if is_sampling(part) else None


@RECIPES.adopt
def recipe_of_code(part: object) -> Recipe | None:
    """A model of what draws samples; None for what is none."""
    function = sampling_in(part)
    if function is None:
        return None
    return Code(function, getattr(function, "__self__", None))

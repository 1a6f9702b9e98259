"""An extractor of the user's own: `module:callable`, images in, features out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import UsageError, one_line
from bench.core.trees import dump
from bench.extractors.base import EXTRACTORS, Extractor, Loading, Reader, Seen

DIGITS = 12
"""Of the digest of a network's weights."""


@dataclass(frozen=True)
class Users(Extractor):
    """A callable of images float32 [n, c, h, w] in [0, 1] to features [n, d]: called for one batch
    at a time.
    """

    name: str = ""
    call: Callable[..., Any] = lambda images: images

    @property
    def tag(self) -> str:
        return self.name

    @property
    def network(self) -> Any:
        return self.call

    @property
    def weights(self) -> str:
        if not isinstance(self.call, nn.Module):
            return ""
        state = self.call.state_dict()
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        return hashlib.sha256(dump(tensors)).hexdigest()[:DIGITS]

    def load(self, loading: Loading) -> Reader:
        call = self.call
        if isinstance(call, nn.Module) and hasattr(call, "training"):
            call.eval()
        turn = Lock()

        def read(images: Tensor) -> Seen:
            try:
                with turn:
                    found = call(images)
            except (Exception, SystemExit) as error:
                raise UsageError(
                    f"features '{self.name}' can't read images {list(images.shape)}: "
                    f"{one_line(f'{type(error).__name__}: {error}', 150)}"
                ) from error
            if isinstance(found, np.ndarray) and found.dtype.kind in "fiu":
                found = torch.from_numpy(found)
            if not _fits(found, len(images)):
                got = type(found).__name__
                if isinstance(found, Tensor):
                    got = f"{list(found.shape)} of {found.dtype}"
                raise UsageError(
                    f"features '{self.name}': expected [{len(images)}, d] for {len(images)} "
                    f"images, got {got}"
                )
            return Seen(torch.as_tensor(found))

        return read


def _fits(found: Any, n: int) -> bool:
    plain = isinstance(found, Tensor) and found.layout == torch.strided
    return plain and found.ndim == 2 and len(found) == n and not found.is_complex()


def extractor(given: str | Callable[..., Any]) -> Extractor:
    """A registered extractor, `module:callable`, or a callable. Raises UsageError for others."""
    if not isinstance(given, str):
        name, part = getattr(given, "__name__", type(given).__name__), given
    else:
        name, part = given, EXTRACTORS[given].part
    if isinstance(part, Extractor):
        return part
    if isinstance(part, type) and issubclass(part, nn.Module):
        try:
            part = part()
        except Exception as error:
            raise UsageError(
                f"features '{name}' can't be made: {one_line(f'{type(error).__name__}: {error}')}"
            ) from error
    if not callable(part):
        raise UsageError(f"features '{name}' is no callable: expected images to features [n, d]")
    return Users(name=name, call=part)

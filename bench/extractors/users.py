"""An extractor of the user's own: `module:callable`, images in, features out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UsageError, one_line
from bench.extractors.base import EXTRACTORS, Extractor, Loading, Reader, Seen


@dataclass(frozen=True)
class Users(Extractor):
    """A callable of images float32 [n, c, h, w] in [0, 1] to features [n, d]."""

    name: str = ""
    call: Callable[..., Any] = lambda images: images

    @property
    def tag(self) -> str:
        return self.name

    def load(self, loading: Loading) -> Reader:
        call = self.call
        if isinstance(call, nn.Module):
            call = call.eval().requires_grad_(False).to(loading.device)

        def read(images: Tensor) -> Seen:
            try:
                found = call(images)
            except Exception as error:
                raise UsageError(
                    f"features '{self.name}' can't read images {list(images.shape)}: "
                    f"{one_line(f'{type(error).__name__}: {error}', 150)}"
                ) from error
            found = torch.from_numpy(found) if isinstance(found, np.ndarray) else found
            if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
                got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise UsageError(
                    f"features '{self.name}': expected [{len(images)}, d] for {len(images)} "
                    f"images, got {got}"
                )
            return Seen(found)

        return read


def extractor(name: str) -> Extractor:
    """A registered extractor, or `module:callable`. Raises UsageError for what is neither."""
    part: Any = EXTRACTORS[name].part
    if isinstance(part, Extractor):
        return part
    if isinstance(part, type) and issubclass(part, nn.Module):
        part = part()
    if not callable(part):
        raise UsageError(f"features '{name}' is no callable: expected images to features [n, d]")
    return Users(name=name, call=part)

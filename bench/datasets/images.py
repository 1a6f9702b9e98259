"""What sets of images promise, wherever they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError, one_line


def shown(name: object) -> str:
    """A name as one line that any output can hold."""
    return one_line(name, 200)


class Unreadable(UsageError):
    """An image that can't be read."""


class Images(ABC):
    """n images, some grey, some in colour, of any sizes."""

    origin: str

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def sizes(self) -> set[tuple[int, int]]:
        """Heights and widths that occur."""

    @property
    @abstractmethod
    def grey(self) -> bool:
        """Whether none is in colour."""

    @property
    def coloured(self) -> int:
        """How many are in colour."""
        return 0 if self.grey else len(self)

    @property
    def kinds(self) -> set[str]:
        """File formats, by suffix; empty for arrays."""
        return set()

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores should know of them."""
        return []

    @property
    def broken(self) -> list[str]:
        """Files that are known not to be images."""
        return []

    @abstractmethod
    def read(self, index: int) -> Tensor:
        """float32 [c, h, w] in [0, 1]. Raises Unreadable, by name."""


@dataclass(frozen=True, eq=False)
class ImageArray(Images):
    """Images of an array, [n, c, h, w] or [n, h, w, c], uint8 or floats in [0, 1]."""

    origin: str
    array: np.ndarray
    last: bool

    def __len__(self) -> int:
        return len(self.array)

    @property
    def sizes(self) -> set[tuple[int, int]]:
        height, width = self.array.shape[1:3] if self.last else self.array.shape[2:]
        return {(height, width)}

    @property
    def grey(self) -> bool:
        return self.array.shape[-1 if self.last else 1] == 1

    def read(self, index: int) -> Tensor:
        pixels = np.asarray(self.array[index])
        pixels = np.moveaxis(pixels, -1, 0) if self.last else pixels
        image = torch.from_numpy(np.ascontiguousarray(pixels).astype(np.float32))
        if pixels.dtype == np.uint8:
            return image / 255
        low, high = float(image.min()), float(image.max())
        if not (low >= 0 and high <= 1):
            finite = np.isfinite(low + high)
            what = f"values of {low:.7g} to {high:.7g}" if finite else "values that are not finite"
            hint = ": (x + 1) / 2 brings [-1, 1] there" if -1 <= low < 0 and high <= 1 else ""
            raise UsageError(
                f"{self.origin}: image {index} has {what}: expected uint8, or floats in [0, 1]"
                f"{hint}"
            )
        return image

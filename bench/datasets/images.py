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


COLOURS = (1, 3)
"""Channels that images have."""


def channels_last(images: np.ndarray, origin: str, others: bool = False) -> bool:
    """Whether images [n, ., ., .] have their channels last: 1 or 3 of them, first where both would
    do. others: whether more of them may come first, fewer than there are rows and columns, as for a
    network of one's own that reads such. Raises UsageError for what is neither.
    """
    shape = images.shape
    if shape[1] in COLOURS or shape[-1] in COLOURS:
        return shape[1] not in COLOURS
    if others and shape[1] < min(shape[2:]):
        return False
    clear = {shape[1]: "images[:, :3]", shape[-1]: "images[..., :3]"}.get(4, "")
    hint = f": leave their transparency out, {clear}" if clear else ""
    raise UsageError(
        f"{origin}: expected images of 1 or 3 channels, first or last, got {list(shape)}{hint}"
    )


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

    @property
    def notes(self) -> list[str]:
        some = self.array[:LOOKED_AT]
        high = float(np.nan_to_num(some).max()) / LEVELS.get(some.dtype.name, 1)
        return [text for text in [darkness(high, self.origin)] if text]

    def read(self, index: int) -> Tensor:
        pixels = np.asarray(self.array[index])
        pixels = np.moveaxis(pixels, -1, 0) if self.last else pixels
        return torch.from_numpy(as_unit(pixels[None], self.origin, index)[0])


LEVELS = {"uint8": 255, "uint16": 65535}
"""What a pixel of integers is a share of."""
DARK = 1 / 255
LOOKED_AT = 1_000


def darkness(high: float, origin: str) -> str:
    """What to say of images whose brightest pixel is this, where that is hardly above black."""
    if not 0 < high <= DARK * (1 + 1e-6):
        return ""
    return (
        f"no pixel of {origin} is brighter than 1/255: are they zeros and ones as bytes (give them "
        "as floats or bool), or were they divided by 255 before?"
    )


ROUNDING = 8
"""How many units in the last place floats may lie outside [0, 1]: what undoing a normalisation
leaves there."""


def as_unit(
    images: np.ndarray, origin: str, first: int = 0, places: np.ndarray | None = None
) -> np.ndarray:
    """Images [n, ...] as float32 in [0, 1]: integers by their levels, black and white as 0 and 1,
    floats as they are, a rounding error outside clipped. first: the number of the first image;
    places: those of all, where they do not follow one another.

    Raises UsageError, with the index at fault, for pixels of other kinds or ranges.
    """
    if images.dtype.name in LEVELS:
        return images.astype(np.float32) / LEVELS[images.dtype.name]
    if images.dtype.kind == "b":
        return images.astype(np.float32)
    if images.dtype.kind != "f":
        raise UsageError(
            f"{origin}: expected images as uint8, uint16, or floats in [0, 1], got {images.dtype}"
        )
    if not len(images):
        return images.astype(np.float32)
    flat = images.reshape(len(images), -1)
    low, high = flat.min(1), flat.max(1)
    eps = max(np.finfo(images.dtype).eps, np.finfo(np.float32).eps)
    fine = (low >= -ROUNDING * eps) & (high <= 1 + ROUNDING * eps)
    if not fine.all():
        index = int((~fine).argmax())
        number = first + index if places is None else places[index]
        raise UsageError(
            f"{origin}: image {number} {_trouble(float(low[index]), float(high[index]))}"
        )
    return images.astype(np.float32).clip(0, 1)


def _trouble(low: float, high: float) -> str:
    """What is wrong with an image whose values span this, and what to do."""
    if not np.isfinite(low + high):
        return "has values that are not finite: expected numbers in [0, 1]"
    if low >= 0:
        advice = "divide by 255" if high > 2 else "divide by what stands for white"
    elif low >= -1 and high <= 1:
        advice = "(x + 1) / 2 brings [-1, 1] there, and a classifier that expects it gets `range`"
    else:
        advice = (
            "if they were normalised, x * std + mean undoes it, and a classifier that expects it "
            "gets `mean` and `std`"
        )
    return f"has values of {low:.8g} to {high:.8g}: expected uint8, or floats in [0, 1]; {advice}"

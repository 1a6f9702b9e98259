"""What a user brings as data to train on: folders of images, arrays of images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.arrays import as_images, read_archive
from bench.datasets.digits import SPLIT_SEED, Split
from bench.datasets.folders import Folder, class_numbers, open_folder
from bench.datasets.images import Unreadable, shown
from bench.datasets.labelled import squared
from bench.datasets.pixels import to_bytes

HELD_OUT = 6
"""One image in so many is held out."""
LEAST = 12


@cache
def read_file(path: str) -> Split:
    """The images and labels of an .npz file, a sixth held out, chosen by a fixed seed; images
    float32 [n, h, w] or [n, h, w, 3] in [0, 1].
    """
    images, labels = as_images(*read_archive(Path(path)), shown(path))
    if len(images) < LEAST:
        raise UsageError(f"{shown(path)} holds {len(images)} images: expected {LEAST} at least")
    return _held_apart(images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1), labels)


@cache
def read_folder(path: str, side: int | None) -> Split:
    """The images below a folder, a sixth of them held out, chosen by a fixed seed: in colour where
    any is, cropped to their middle square and brought to `side` pixels where a side is given.
    """
    found = open_folder(Path(path))
    refuse_broken(found)
    if len(found) < LEAST:
        raise UsageError(
            f"{shown(path)} holds {len(found)} images: expected {LEAST} at least, and thousands"
        )
    return _held_apart(np.stack(alike(found, side)), classes_of(found.files, Path(path)))


def _held_apart(images: np.ndarray, labels: np.ndarray) -> Split:
    n = len(images)
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    held, train = order[: n // HELD_OUT], order[n // HELD_OUT :]
    return Split(images[train], labels[train], images[held], labels[held])


def alike(found: Folder, side: int | None) -> list[np.ndarray]:
    """All of one shape, uint8 [h, w] or [h, w, 3]."""
    if side is None and len(found.sizes) > 1:
        small, large = min(found.sizes), max(found.sizes)
        raise UsageError(
            f"{found.origin} has images of several sizes, {small[1]} x {small[0]} to {large[1]} x "
            f"{large[0]} pixels: bring them to one with the setting size=64"
        )
    try:
        return [_square(found.read(index), side, not found.grey) for index in range(len(found))]
    except Unreadable as error:
        raise UsageError(without_option(str(error))) from error


def refuse_broken(found: Folder) -> None:
    """Raise UsageError where a file of a folder is known to be no image."""
    if found.broken:
        raise UsageError(without_option(found.broken[0]))


def without_option(text: str) -> str:
    """What is wrong with a file, without the option of `bench score` that leaves it out."""
    return text.partition("; `skip_unreadable`")[0] + ": take it out of the folder"


def _square(image: Tensor, side: int | None, colour: bool) -> np.ndarray:
    pixels = to_bytes(image).permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if colour and picture.mode != "RGB":
        picture = picture.convert("RGB")
    if side is None:
        return np.asarray(picture)
    return np.asarray(squared(picture, side))


def classes_of(files: Sequence[Path], folder: Path) -> np.ndarray:
    """The number of each file's folder among those directly below; 0 for all where a file lies
    beside the folders.
    """
    tops = [file.relative_to(folder).parts for file in files]
    if any(len(parts) == 1 for parts in tops):
        return np.zeros(len(files), dtype=np.int64)
    numbers = class_numbers({parts[0] for parts in tops})
    return np.array([numbers[parts[0]] for parts in tops], dtype=np.int64)

"""What a user brings as data to train on: folders of images, arrays of images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.arrays import as_images, read_archive, training_part
from bench.datasets.digits import SPLIT_SEED, Split
from bench.datasets.folders import Folder, class_numbers, is_junk, open_folder
from bench.datasets.images import Unreadable, shown
from bench.datasets.labelled import squared
from bench.datasets.pixels import changed, is_deep, to_bytes, to_unit

HELD_OUT = 6
"""One image in so many is held out."""
LEAST = 12


@cache
def read_file(path: str) -> Split:
    """The images and labels of an .npz file, divided as it says (x_train, x_test, and their like),
    else a sixth held out, chosen by a fixed seed; images float32 [n, h, w] or [n, h, w, 3] in
    [0, 1].
    """
    images, labels = _channels_last(read_archive(Path(path)), path)
    told = training_part(Path(path))
    if told is None:
        return _held_apart(images, labels)
    return Split(*_channels_last(told, path), images, labels)


def _channels_last(pair: tuple[np.ndarray, np.ndarray], path: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = as_images(*pair, shown(path))
    if len(images) < LEAST:
        raise UsageError(f"{shown(path)} holds {len(images)} images: expected {LEAST} at least")
    return images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1), labels


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
    """All of one shape, [h, w] or [h, w, 3]: uint8, or floats in [0, 1] where any has more bits."""
    if side is None and len(found.sizes) > 1:
        small, large = min(found.sizes), max(found.sizes)
        raise UsageError(
            f"{found.origin} has images of several sizes, {small[1]} x {small[0]} to {large[1]} x "
            f"{large[0]} pixels: bring them to one with the setting size=64"
        )
    try:
        read = [_read(found, index, side) for index in range(len(found))]
    except Unreadable as error:
        raise UsageError(f"{error}: take it out of the folder") from error
    if any(image.is_floating_point() for image in read):
        read = [to_unit(image) for image in read]
    return [image[0].numpy() if found.grey else image.permute(1, 2, 0).numpy() for image in read]


def _read(found: Folder, index: int, side: int | None) -> Tensor:
    """One image, [1 or 3, h, w]: uint8, or floats where that would lose bits."""
    image = found.read(index)
    if side is not None:
        image = changed(image, lambda picture: squared(picture, side))
    image = image if found.grey else image.expand(3, -1, -1)
    return image if is_deep(image) else to_bytes(image)


def refuse_broken(found: Folder) -> None:
    """Raise UsageError where a file of a folder is known to be no image."""
    if found.broken:
        raise UsageError(f"{found.broken[0]}: take it out of the folder")


def classes_of(files: Sequence[Path], folder: Path) -> np.ndarray:
    """The number of each file's folder among those directly below; 0 for all where a file lies
    beside the folders.
    """
    tops = [file.relative_to(folder).parts for file in files]
    if any(len(parts) == 1 for parts in tops):
        return np.zeros(len(files), dtype=np.int64)
    used = {parts[0] for parts in tops}
    below = {child.name for child in folder.iterdir() if child.is_dir()}
    numbers = class_numbers(used, (name for name in below - used if not is_junk(name)))
    return np.array([numbers[parts[0]] for parts in tops], dtype=np.int64)

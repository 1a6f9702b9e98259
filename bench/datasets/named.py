"""Images to train on, by name: a registered data set, torchvision's, or a folder of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets import DATASETS, torchvisions
from bench.datasets.digits import SPLIT_SEED, Split
from bench.datasets.folders import Folder, open_folder
from bench.datasets.images import ImageArray, Unreadable, shown
from bench.datasets.labelled import Labelled, squared
from bench.datasets.pixels import to_bytes

FOLDER = "folder:"
HELD_OUT = 6
"""One image in so many is held out."""
LEAST = 12


def images_named(name: str, side: int | None = None) -> Labelled:
    """The images of a name, brought to `side` pixels where a side is given.

    `folder:PATH` is every image below a folder; its folders are the classes where all images lie in
    some. Raises UsageError for what can't be had, saying what can.
    """
    if name.startswith(FOLDER):
        return _folder(name, side)
    if name.startswith(torchvisions.PREFIX):
        return torchvisions.named(name, side)
    found = DATASETS[name].part
    if not isinstance(found, Labelled):
        raise UsageError(
            f"dataset '{name}' has no images: expected one of {', '.join(_known())}, "
            "torchvision:NAME or folder:PATH"
        )
    return found if side is None else found.resized(side)


def _known() -> list[str]:
    return [entry.name for entry in DATASETS.entries() if isinstance(entry.part, Labelled)]


def _folder(name: str, side: int | None) -> Labelled:
    path = Path(name.removeprefix(FOLDER)).expanduser()
    if not path.is_dir():
        raise UsageError(f"{shown(path)} is no folder: expected folder:PATH with images below it")
    split = partial(read_folder, str(path), side)
    found = split()
    most = int(max(found.labels.max(), found.held_labels.max()))
    return Labelled(name, split, classes=most + 1 if most else 0)


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
    images = np.stack(alike(found, side))
    labels, n = classes_of(found.files, Path(path)), len(found)
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    held, train = order[: n // HELD_OUT], order[n // HELD_OUT :]
    return Split(images[train], labels[train], images[held], labels[held])


def alike(found: Folder, side: int | None) -> list[np.ndarray]:
    """All of one shape, uint8 [h, w] or [h, w, 3]."""
    if side is None and len(found.sizes) > 1:
        small, large = min(found.sizes), max(found.sizes)
        raise UsageError(
            f"{found.origin} has images of several sizes, {small[1]} x {small[0]} to {large[1]} x "
            f"{large[0]} pixels: bring them to one with --set size=64"
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
    return text.partition("; --skip-unreadable")[0] + ": take it out of the folder"


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
    names = sorted({parts[0] for parts in tops})
    return np.array([names.index(parts[0]) for parts in tops], dtype=np.int64)


def registered(name: str) -> ImageArray:
    """The held-out images of a registered data set; `NAME:train` its training images. Raises
    UsageError for a data set without images of its own.
    """
    part = DATASETS[name.partition(":")[0]].part
    side = name.partition(":")[2] or "held-out"
    if not isinstance(part, Labelled):
        raise UsageError(f"dataset '{name}' has no images of its own: expected one such as mnist5k")
    if side not in ("held-out", "train"):
        raise UsageError(f"dataset '{name}': expected NAME, its held-out images, or NAME:train")
    if part.missing:
        raise UsageError(part.missing)
    images = part.split.images if side == "train" else part.split.held_images
    return ImageArray(name, images[..., None] if images.ndim == 3 else images, True)

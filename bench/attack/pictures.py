"""Images with labels that a user brings: a folder of class folders, or arrays in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets import torchvisions
from bench.datasets.arrays import as_images, read_archive
from bench.datasets.folders import SUFFIXES, class_numbers, eight_bits
from bench.datasets.labelled import as_tensor
from bench.datasets.named import dataset_named, read_typed_name
from bench.datasets.pixels import to_unit

LARGEST = 4096


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images float32 [n, c, h, w] in [0, 1], their labels int64 [n], and where each came from.

    classes: the names of the labels, where they have any. source: what tells the images from
    others: the fingerprint of the data set that they are held out of, where there is one.
    """

    images: Tensor
    labels: Tensor
    names: list[str]
    classes: list[str]
    source: str = ""

    @property
    def told_by(self) -> str:
        """What tells these images from others."""
        return self.source or "\n".join(self.names)


def pictures_named(
    name: str, size: int | None, limit: int, seed: int = 0, download: bool = False
) -> Pictures:
    """The first `limit` labelled images of a name: of a folder's classes in turn; of a data set
    those that are held out, or those to train on where the name ends in `:train`.

    size: the side of the square that a folder's images are brought to (the shorter side resized,
    the middle cropped). Raises UsageError that names the file or the index at fault.
    """
    if size is not None and not 1 <= size <= LARGEST:
        raise UsageError(f"`size`: expected 1 to {LARGEST} pixels, got {size}")
    place = read_typed_name(name)
    if place.kind == "folder":
        return _folder(Path(place.name), size, limit)
    train = place.side == "train"
    if place.kind == "torchvision":
        images, labels, classes = torchvisions.some(place.name, limit, size, train, download)
        shown = name.removeprefix(torchvisions.PREFIX)
        return _of_tensor(to_unit(as_tensor(images)), torch.from_numpy(labels), shown, classes)
    if size is not None:
        raise UsageError("`size` is for folders of images: arrays are taken as they stand")
    if place.kind == "file":
        return pictures_of(*read_archive(Path(place.name)), name, limit)
    part = dataset_named(place.name if place.side else name, ("images", "classes"), "an attack")
    if part.missing:
        raise UsageError(part.missing)
    source = part.source(seed)
    if train:
        images, labels = to_unit(source.training_bytes[:limit]), source.training_labels[:limit]
        return _of_tensor(images, labels, name)
    images, labels = source.held_out[:limit], source.held_out_labels[:limit]
    return _of_tensor(images, labels, name, (), part.fingerprint)


def _of_tensor(
    images: Tensor, labels: Tensor, origin: str, classes: Sequence[str] = (), source: str = ""
) -> Pictures:
    named = [f"{origin}[{i}]" for i in range(len(images))]
    return Pictures(images, labels, named, [*classes], source)


def _folder(path: Path, size: int | None, limit: int) -> Pictures:
    folders = [child for child in path.iterdir() if child.is_dir() and not _is_junk(child)]
    numbers = class_numbers(child.name for child in folders)
    folders.sort(key=lambda child: list(numbers).index(child.name))
    labels = {child: numbers[child.name] for child in folders}
    files = {child: sorted(f for f in child.iterdir() if _is_image(f)) for child in folders}
    for child in folders:
        deeper = next((f for f in child.glob("*/**/*") if _is_image(f)), None)
        if deeper is not None:
            raise UsageError(
                f"{deeper} lies too deep: expected images directly in the folders of {path}, one "
                f"for each class; name {child} if that holds the classes"
            )
    if not any(files.values()):
        raise UsageError(
            f"{path} is empty, or holds no images: expected a folder for each class with images in "
            f"it ({', '.join(SUFFIXES)})"
        )
    chosen = _in_turn(list(files.values()), limit)
    images = _of_one_kind([_read(file, size) for file in chosen])
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        odd = next(f for f, i in zip(chosen, images, strict=True) if i.shape != images[0].shape)
        raise UsageError(f"{odd} has another size than {chosen[0]}: bring all to one with `size`")
    named = [child.name for child in folders]
    return Pictures(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([labels[file.parent] for file in chosen]),
        [str(file.relative_to(path)) for file in chosen],
        [] if all(name.isdecimal() for name in named) else named,
    )


def _of_one_kind(images: list[np.ndarray]) -> list[np.ndarray]:
    """All in colour where any is."""
    if len({image.shape[2] for image in images}) == 1:
        return images
    return [np.repeat(image, 3, 2) if image.shape[2] == 1 else image for image in images]


def _is_junk(folder: Path) -> bool:
    """Folders that tools leave behind, and that are no class."""
    return folder.name.startswith((".", "__"))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _in_turn(groups: list[list[Path]], limit: int) -> list[Path]:
    """One of each class, then the next of each, so that the first few are of all classes."""
    longest = max(len(group) for group in groups)
    mixed = [group[i] for i in range(longest) for group in groups if i < len(group)]
    return mixed[:limit]


def _read(path: Path, size: int | None) -> np.ndarray:
    """float32 [h, w, 3] in [0, 1], or [h, w, 1] where the file is grey."""
    try:
        with Image.open(path) as opened:
            if opened.mode.startswith("I"):
                opened = Image.fromarray(eight_bits(np.asarray(opened)))
            photo = opened.convert("L" if opened.mode in ("L", "LA", "1") else "RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise UsageError(f"can't read {path}: it is no image, or damaged") from error
    if size is not None:
        photo = _square(photo, size)
    pixels = np.asarray(photo, dtype=np.float32) / 255
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _square(photo: Image.Image, size: int) -> Image.Image:
    """The shorter side at `size` (bicubic), then the middle square."""
    scale = size / min(photo.size)
    wide = (max(size, round(photo.width * scale)), max(size, round(photo.height * scale)))
    resized = photo.resize(wide, Image.Resampling.BICUBIC)
    left, top = ((side - size) // 2 for side in wide)
    return resized.crop((left, top, left + size, top + size))


def pictures_of(images: np.ndarray, labels: np.ndarray, origin: str, limit: int) -> Pictures:
    """Arrays as images: [n, h, w], [n, h, w, 1 or 3], or channels first; floats in [0, 1].

    Raises UsageError that names the index at fault.
    """
    first, known = as_images(images, labels, origin, limit)
    named = [f"{origin}[{index}]" for index in range(len(first))]
    return Pictures(torch.from_numpy(first), torch.from_numpy(known), named, [])

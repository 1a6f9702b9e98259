"""Images with labels that a user brings: a folder of class folders, or arrays in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets import torchvisions
from bench.datasets.arrays import read_archive, some_images
from bench.datasets.folders import class_numbers, image_files, is_junk, notes_of, open_folder
from bench.datasets.imagefiles import SUFFIXES, read_head, read_image
from bench.datasets.images import shown
from bench.datasets.labelled import as_tensor
from bench.datasets.named import DataName, dataset_named, read_typed_name
from bench.datasets.pixels import changed, to_unit
from bench.datasets.turns import in_turn, told_places

LARGEST = 4096


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images float32 [n, c, h, w] in [0, 1], their labels int64 [n], and where each came from.

    classes: the names of the labels, where they have any. source: what tells the images from
    others: the fingerprint of the data set that they are held out of, where there is one. notes:
    what a reader of the figures should know of them.
    """

    images: Tensor
    labels: Tensor
    names: list[str]
    classes: list[str]
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def told_by(self) -> str:
        """What tells these images from others."""
        return self.source or "\n".join(self.names)


def pictures_named(
    name: str,
    size: int | None,
    limit: int,
    seed: int = 0,
    download: bool = False,
    keys: Sequence[str] = (),
    held_out: bool = False,
) -> Pictures:
    """The first `limit` labelled images of a name: of a folder's classes in turn, and of a file's
    that are sorted by label; of a data set those that are held out, or those to train on where the
    name ends in `:train`.

    size: the side of the square that a folder's images are brought to (the shorter side resized,
    the middle cropped). keys: what an .npz file calls its images and labels. held_out: of a folder
    or a file those alone that a suite holds out, where a classifier is trained on the others.
    Raises UsageError that names the file or the index at fault.
    """
    place = read_typed_name(name)
    _refuse_options(place, size, keys, held_out)
    if place.kind == "folder" and not held_out:
        return _folder(Path(place.name), size, limit)
    train = place.side == "train"
    if place.kind == "torchvision":
        images, labels, classes = torchvisions.some(place.name, limit, size, train, download)
        origin = name.removeprefix(torchvisions.PREFIX)
        return _of_tensor(to_unit(as_tensor(images)), torch.from_numpy(labels), origin, classes)
    if place.kind == "file" and not held_out:
        return pictures_of(*read_archive(Path(place.name), keys), shown(name), limit)
    part = dataset_named(place.name if place.side else name, ("images", "classes"), "an attack")
    if part.missing:
        raise UsageError(part.missing)
    source = part.source(seed)
    if train:
        images, labels = to_unit(source.training_bytes[:limit]), source.training_labels[:limit]
        return _of_tensor(images, labels, name)
    images, labels = source.held_out[:limit], source.held_out_labels[:limit]
    found = _of_tensor(images, labels, name, (), part.fingerprint)
    told = open_folder(Path(place.name)).notes if place.kind == "folder" else ()
    return replace(found, notes=tuple(told))


def _refuse_options(place: DataName, size: int | None, keys: Sequence[str], held_out: bool) -> None:
    """Raise UsageError for an option that data of a kind have no use for."""
    if size is not None and not 1 <= size <= LARGEST:
        raise UsageError(f"`size`: expected 1 to {LARGEST} pixels, got {size}")
    if keys and place.kind != "file":
        raise UsageError("`keys` is for an .npz file: it names the arrays in it")
    if held_out and (size is not None or keys):
        raise UsageError("`size`, `keys`: a classifier is trained on data as they stand")
    if size is not None and place.kind not in ("folder", "torchvision"):
        raise UsageError("`size` is for folders of images: arrays are taken as they stand")


def _of_tensor(
    images: Tensor, labels: Tensor, origin: str, classes: Sequence[str] = (), source: str = ""
) -> Pictures:
    named = [f"{origin}[{i}]" for i in range(len(images))]
    return Pictures(images, labels, named, [*classes], source)


def _folder(path: Path, size: int | None, limit: int) -> Pictures:
    folders = [child for child in path.iterdir() if child.is_dir() and not is_junk(child.name)]
    files = {child: sorted(f for f in child.iterdir() if _is_image(f)) for child in folders}
    for child in folders:
        deeper = next((f for f in child.glob("*/**/*") if _is_image(f)), None)
        if deeper is not None:
            raise UsageError(
                f"{deeper} lies too deep: expected images directly in the folders of {path}, one "
                f"for each class; name {child} if that holds the classes"
            )
    used = [child for child in folders if files[child]]
    if not used:
        raise UsageError(_without_classes(path))
    numbers = class_numbers(
        (child.name for child in used), (child.name for child in folders if not files[child])
    )
    used.sort(key=lambda child: list(numbers).index(child.name))
    chosen = in_turn([files[child] for child in used], limit)
    images = _of_one_kind([_read(file, size) for file in chosen])
    odd = next((i for i, image in enumerate(images) if image.shape != images[0].shape), None)
    if odd is not None:
        raise UsageError(
            f"{shown(chosen[odd])} has another size than {shown(chosen[0])}: bring all to one with "
            "`size`"
        )
    named = [child.name for child in used]
    return Pictures(
        torch.stack(images),
        torch.tensor([numbers[file.parent.name] for file in chosen]),
        [str(file.relative_to(path)) for file in chosen],
        [] if all(name.isdecimal() for name in named) else named,
        notes=tuple(
            notes_of([read_head(file) for file in chosen], image_files(path)[1], shown(path))
        ),
    )


def _without_classes(path: Path) -> str:
    """What is wrong with a folder none of whose folders has images."""
    expected = f"expected a folder for each class with images in it ({', '.join(SUFFIXES)})"
    if any(_is_image(file) for file in path.iterdir()):
        return f"{shown(path)} has images, and no folders that tell their classes: {expected}"
    return f"{shown(path)} holds no images: {expected}"


def _of_one_kind(images: list[Tensor]) -> list[Tensor]:
    """All in colour where any is."""
    channels = max(len(image) for image in images)
    return [image.expand(channels, -1, -1) for image in images]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _read(path: Path, size: int | None) -> Tensor:
    """float32 [1 or 3, h, w] in [0, 1]; at `size` pixels a side where one is given."""
    image = read_image(path)
    return image if size is None else changed(image, lambda photo: _square(photo, size))


def _square(photo: Image.Image, size: int) -> Image.Image:
    """The shorter side at `size` (bicubic), then the middle square."""
    scale = size / min(photo.size)
    wide = (max(size, round(photo.width * scale)), max(size, round(photo.height * scale)))
    resized = photo.resize(wide, Image.Resampling.BICUBIC)
    left, top = ((side - size) // 2 for side in wide)
    return resized.crop((left, top, left + size, top + size))


def pictures_of(images: Any, labels: Any, origin: str, limit: int) -> Pictures:
    """Arrays as images: [n, h, w], [n, h, w, 1 or 3], or channels first; bytes or floats. The first
    `limit`; where they are sorted by label, of the classes in turn.

    Raises UsageError that names the index at fault.
    """
    made, known, places, n = some_images(images, labels, origin, limit)
    named = [f"{origin}[{index}]" for index in places]
    notes = tuple(filter(None, [told_places(places, n, origin)]))
    return Pictures(torch.from_numpy(made), torch.from_numpy(known), named, [], notes=notes)

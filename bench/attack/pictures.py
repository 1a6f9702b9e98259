"""Images with labels that a user brings: a folder of class folders, or arrays in a file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.folders import SUFFIXES, eight_bits

LARGEST = 4096
IMAGES, LABELS = ("images", "x", "X", "data"), ("labels", "y", "Y", "targets")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images float32 [n, c, h, w] in [0, 1], their labels int64 [n], and where each came from.

    classes: the names of the labels, where they have any.
    """

    images: Tensor
    labels: Tensor
    names: list[str]
    classes: list[str]


def load_pictures(name: str, size: int | None, limit: int) -> Pictures:
    """The first `limit` images of a folder or an .npz file, of a folder's classes in turn.

    size: the side of the square that a folder's images are brought to (the shorter side resized,
    the middle cropped). Raises UsageError that names the file or the index at fault.
    """
    path = Path(name).expanduser()
    if size is not None and not 1 <= size <= LARGEST:
        raise UsageError(f"--size: expected 1 to {LARGEST} pixels, got {size}")
    if path.is_dir():
        return _folder(path, size, limit)
    if path.suffix == ".npz":
        if size is not None:
            raise UsageError("--size is for folders of images: arrays are taken as they stand")
        return _arrays(path, limit)
    raise UsageError(
        f"can't find images in '{name}': expected a folder of class folders, an .npz file, "
        "torchvision:NAME, or a registered data set (`bench list datasets`)"
    )


def _folder(path: Path, size: int | None, limit: int) -> Pictures:
    folders = sorted(child for child in path.iterdir() if child.is_dir() and not _is_junk(child))
    if folders and all(child.name.isdecimal() for child in folders):
        folders.sort(key=lambda child: int(child.name))
        labels = {child: int(child.name) for child in folders}
    else:
        labels = {child: index for index, child in enumerate(folders)}
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
        raise UsageError(f"{odd} has another size than {chosen[0]}: bring all to one with --size N")
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


def _arrays(path: Path, limit: int) -> Pictures:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            images, labels = _named(path, file, IMAGES), _named(path, file, LABELS)
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(f"can't read {path}: expected an .npz file of arrays ({error})") from error
    return pictures_of(images, labels, str(path), limit)


def _named(path: Path, file: np.lib.npyio.NpzFile, names: tuple[str, ...]) -> np.ndarray:
    found = next((name for name in names if name in file.files), None)
    if found is None:
        raise UsageError(
            f"{path} has no '{names[0]}': expected one of {', '.join(names)}, it has "
            f"{', '.join(file.files) or 'nothing'}"
        )
    return file[found]


def pictures_of(images: np.ndarray, labels: np.ndarray, origin: str, limit: int) -> Pictures:
    """Arrays as images: [n, h, w], [n, h, w, 1 or 3], or channels first; floats in [0, 1].

    Raises UsageError that names the index at fault.
    """
    if not np.issubdtype(images.dtype, np.floating):
        raise UsageError(
            f"{origin}: expected images as floats in [0, 1], got {images.dtype}: divide by 255"
        )
    if images.ndim not in (3, 4) or not len(images):
        raise UsageError(f"{origin}: expected images [n, h, w(, c)], got {images.shape}")
    if labels.shape != (len(images),):
        raise UsageError(
            f"{origin}: expected a label for each of {len(images)} images, got {labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(f"{origin}: expected labels as integers, got {labels.dtype}")
    grown = images[:, None] if images.ndim == 3 else images
    if grown.shape[1] not in (1, 3) and grown.shape[-1] in (1, 3):
        grown = np.moveaxis(grown, -1, 1)
    first = torch.from_numpy(np.ascontiguousarray(grown[:limit], dtype=np.float32))
    _refuse_values(first, origin)
    named = [f"{origin}[{index}]" for index in range(len(first))]
    return Pictures(first, torch.from_numpy(labels[:limit].astype(np.int64)), named, [])


def _refuse_values(images: Tensor, origin: str) -> None:
    flat = images.flatten(1)
    broken = ~flat.isfinite().all(1)
    if bool(broken.any()):
        index = int(broken.nonzero()[0, 0])
        raise UsageError(f"{origin}: image {index} is not finite: expected numbers in [0, 1]")
    outside = ((flat < 0) | (flat > 1)).any(1)
    if bool(outside.any()):
        index = int(outside.nonzero()[0, 0])
        low, high = float(flat[index].min()), float(flat[index].max())
        advice = "divide by 255" if high > 2 else "bring them to [0, 1] and declare --range"
        raise UsageError(
            f"{origin}: image {index} has values from {low:.3g} to {high:.3g}: expected [0, 1]; "
            f"{advice}"
        )

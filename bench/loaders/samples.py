"""Samples to score: folders of images, arrays, tensors, statistics that were kept.

Images stay where they are until they are read, one at a time, as float32 [c, h, w] in [0, 1].
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bench.datasets import DATASETS
from bench.datasets.labelled import Labelled
from bench.errors import UsageError, one_line
from bench.loaders.images import SUFFIXES, eight_bits
from metrics.features import Features
from metrics.moments import Moments

FORMS = (
    "a folder of images, an .npy, .npz or .pt file with an array [n, d] or [n, h, w(, c)], "
    "statistics that --save-stats kept, or a data set with images, such as mnist5k or mnist5k:train"
)
NAMES = ("images", "features", "samples", "x", "X", "data", "arr_0")
MOST_BYTES = 2**35
MOST_PIXELS = 2**27
"""Of one image; what claims to be larger is taken for a decompression bomb."""
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
VERSION = 1
UNKNOWN = 2
"""The number of samples that moments pretend to, where the file does not say it."""


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
    def kinds(self) -> set[str]:
        """File formats, by suffix; empty for arrays."""
        return set()

    @property
    def broken(self) -> list[str]:
        """Files that are known not to be images."""
        return []

    @abstractmethod
    def read(self, index: int) -> Tensor:
        """float32 [c, h, w] in [0, 1]. Raises Unreadable, by name."""


@dataclass(frozen=True, eq=False)
class Folder(Images):
    """The images below a folder, by name. files: those whose heads could be read."""

    origin: str
    files: list[Path]
    heads: list[tuple[tuple[int, int], bool]]
    refused: list[str]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def sizes(self) -> set[tuple[int, int]]:
        return {size for size, _ in self.heads}

    @property
    def grey(self) -> bool:
        return all(grey for _, grey in self.heads)

    @property
    def kinds(self) -> set[str]:
        return {file.suffix.lower().replace("jpeg", "jpg") for file in self.files}

    @property
    def broken(self) -> list[str]:
        return self.refused

    def read(self, index: int) -> Tensor:
        path = self.files[index]
        try:
            with Image.open(path) as opened:
                if opened.mode.startswith("I"):
                    opened = Image.fromarray(eight_bits(np.asarray(opened)))
                grey = opened.mode in GREY_MODES
                pixels = np.asarray(opened.convert("L" if grey else "RGB"))
        except _IMAGE_ERRORS as error:
            raise Unreadable(_damaged(path, error)) from error
        image = torch.from_numpy(pixels.astype(np.float32) / 255)
        return image[None] if image.ndim == 2 else image.permute(2, 0, 1).contiguous()


_IMAGE_ERRORS = (
    OSError,
    UnidentifiedImageError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    MemoryError,
    OverflowError,
)


def _damaged(path: Path, error: BaseException) -> str:
    return (
        f"can't read {path}: it is no image, or damaged ({one_line(error, 80)}); --skip-unreadable "
        "leaves such files out and counts them"
    )


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
            what = f"{low:.3g} to {high:.3g}" if np.isfinite(low + high) else "what is not finite"
            hint = ": (x + 1) / 2 brings [-1, 1] there" if -1 <= low < 0 and high <= 1 else ""
            raise Unreadable(
                f"{self.origin}: image {index} has values of {what}: expected uint8, or floats in "
                f"[0, 1]{hint}"
            )
        return image


@dataclass(frozen=True, eq=False)
class Kept:
    """Features as they stand, or what was kept of some. tag: what they are of, empty where a file
    does not say. thumbnails, ids, probabilities: as `Extracted` has them, or None.
    """

    origin: str
    features: Features
    tag: str = ""
    counted: bool = True
    ids: np.ndarray | None = None
    thumbnails: np.ndarray | None = None
    probabilities: np.ndarray | None = None


Samples = Images | Kept
Given = str | Path | np.ndarray | Tensor


def open_samples(given: Given, role: str) -> Samples:
    """What a user names, or arrays. Raises UsageError that names what is wrong."""
    if isinstance(given, Tensor):
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ndarray):
        return _of_array(given, role)
    path = Path(given).expanduser()
    if path.is_dir():
        return _folder(path)
    if str(given).partition(":")[0] in DATASETS and not path.exists():
        return registered(str(given))
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".pt", ".pth") or not path.is_file():
        there = "is not there" if not path.exists() else "is none of these"
        raise UsageError(f"{role}: {path} {there}: expected {FORMS}")
    if suffix == ".npz":
        return _archive(path)
    return _of_array(_numpy(path) if suffix == ".npy" else _tensor(path), str(path))


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


def _folder(path: Path) -> Folder:
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
    if not found:
        raise UsageError(f"{path} holds no images: expected {', '.join(SUFFIXES)} files in it")
    files, heads, refused = [], [], []
    for file in found:
        try:
            with Image.open(file) as opened:
                width, height = opened.size
                grey = opened.mode in GREY_MODES
        except _IMAGE_ERRORS as error:
            refused.append(_damaged(file, error))
            continue
        if width * height > MOST_PIXELS:
            refused.append(_damaged(file, ValueError(f"{width} x {height} pixels: a bomb?")))
            continue
        files.append(file)
        heads.append(((height, width), grey))
    return Folder(str(path), files, heads, refused)


def _numpy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise UsageError(
            f"can't read {path}: expected an .npy file of numbers ({one_line(error, 80)})"
        ) from error


def _tensor(path: Path) -> np.ndarray:
    """Raises UsageError for a file that asks to run code."""
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path} was refused: it holds more than tensors, and reading it would run code: save "
            "the tensor alone (torch.save(x, ...)), or an .npy file"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"can't read {path}: {one_line(error, 100)}") from error
    if isinstance(found, Mapping):
        tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)}
        found = tensors[_chosen(path, list(tensors))]
    if not isinstance(found, Tensor):
        raise UsageError(f"{path}: expected a tensor, got {type(found).__name__}")
    return found.detach().cpu().numpy()


def _chosen(path: Path, names: list[str]) -> str:
    known = next((name for name in NAMES if name in names), None)
    if known is None and len(names) != 1:
        held = ", ".join(names[:8]) or "nothing"
        raise UsageError(f"{path}: expected one array or one of {', '.join(NAMES)}; it has {held}")
    return known or names[0]


def _archive(path: Path) -> Samples:
    try:
        with zipfile.ZipFile(path) as packed:
            total = sum(member.file_size for member in packed.infolist())
        if total > MOST_BYTES:
            raise UsageError(
                f"{path} would unpack to {total / 2**30:,.0f} GiB: expected "
                f"{MOST_BYTES / 2**30:,.0f} at most"
            )
        with np.load(path, allow_pickle=False) as file:
            if "mu" in file.files and "sigma" in file.files:
                return _statistics(path, file)
            return _of_array(file[_chosen(path, file.files)], str(path))
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, MemoryError) as error:
        raise UsageError(
            f"can't read {path}: expected an .npz file of arrays ({one_line(error, 80)})"
        ) from error


def _statistics(path: Path, file: Any) -> Kept:
    """Moments, with all that --save-stats keeps, or mu and sigma alone as other tools keep them."""
    mean, covariance = (np.asarray(file[name], dtype=np.float64) for name in ("mu", "sigma"))
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise UsageError(
            f"{path}: expected mu [d] and sigma [d, d], got {mean.shape} and {covariance.shape}"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UsageError(f"{path}: mu or sigma is not finite")
    card = json.loads(str(file["card"])) if "card" in file.files else {}
    if card.get("version", VERSION) > VERSION:
        raise UsageError(f"{path} was written by a newer bench: update it, or save it again")
    n = int(card.get("n", file["n"] if "n" in file.files else 0))
    moments = Moments(n or UNKNOWN, mean, covariance * ((n or UNKNOWN) - 1))
    more = {k: file[k] for k in ("ids", "thumbnails", "probabilities") if k in file.files}
    points = file["points"] if "points" in file.files else None
    kept = Features(points, moments)
    return Kept(str(path), kept, str(card.get("features", "")), bool(n), **more)


def _of_array(array: np.ndarray, origin: str) -> Samples:
    """Two dimensions are features; three or four are images."""
    if not len(array.shape) or not len(array):
        raise UsageError(f"{origin}: expected {FORMS}; it is empty")
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{origin}: expected an array of numbers, got {array.dtype}")
    if array.ndim == 2:
        return Kept(origin, Features(_named(np.asarray(array), origin)), ids=row_ids(array))
    if array.ndim not in (3, 4):
        raise UsageError(
            f"{origin}: expected features [n, d] or images [n, h, w(, c)], got {list(array.shape)}"
        )
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise UsageError(
            f"{origin}: expected images as uint8, or floats in [0, 1], got {array.dtype}"
        )
    if array.ndim == 3:
        return ImageArray(origin, array[..., None], True)
    if array.shape[1] not in (1, 3) and array.shape[-1] not in (1, 3):
        raise UsageError(
            f"{origin}: expected images of 1 or 3 channels, first or last, got {list(array.shape)}"
        )
    return ImageArray(origin, array, array.shape[1] not in (1, 3))


def _named(points: np.ndarray, origin: str) -> np.ndarray:
    """float64 unless float32; raises UsageError, with the origin, for what no metric can use."""
    if points.dtype != np.float32:
        points = points.astype(np.float64)
    broken = ~np.isfinite(points).all(1)
    if broken.any():
        raise UsageError(
            f"{origin}: {int(broken.sum())} of {len(points)} rows are not finite, the first is row "
            f"{int(broken.argmax())}"
        )
    return points


def row_ids(array: np.ndarray) -> np.ndarray:
    """A number for each row that its content as float32 decides, [n]."""
    single = np.ascontiguousarray(array, dtype=np.float32) + np.float32(0)
    return np.array([content_id(row) for row in single], dtype=np.uint64)


def content_id(values: np.ndarray) -> int:
    """64 bits that the shape and the bytes of an array decide."""
    digest = hashlib.blake2b(str(values.shape).encode(), digest_size=8)
    digest.update(values.tobytes())
    return int.from_bytes(digest.digest(), "little")


def packed(kept: Kept) -> bytes:
    """The .npz file of --save-stats: mu and sigma as others have them, and what else is known."""
    features, buffer = kept.features, io.BytesIO()
    moments = features.moments
    card = {"version": VERSION, "features": kept.tag, "n": features.n, "dims": features.dims}
    more: dict[str, Any] = {
        "points": features.points,
        "ids": kept.ids,
        "thumbnails": kept.thumbnails,
        "probabilities": kept.probabilities,
    }
    np.savez(
        buffer,
        mu=moments.mean,
        sigma=moments.covariance,
        n=np.int64(features.n),
        card=np.array(json.dumps(card)),
        **{name: array for name, array in more.items() if array is not None},
    )
    return buffer.getvalue()

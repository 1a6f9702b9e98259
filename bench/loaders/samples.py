"""Samples to score: folders of images, arrays, tensors, statistics that were kept.

Images stay where they are until they are read, one at a time, as float32 [c, h, w] in [0, 1].
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bench.datasets import DATASETS
from bench.datasets.labelled import Labelled
from bench.errors import UsageError, one_line
from bench.loaders.images import SUFFIXES, eight_bits
from metrics.features import Apply, Features
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
LARGEST_SIGMA = 4_096
UNKNOWN = 2
"""The number of samples that moments pretend to, where the file does not say it."""


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
class Folder(Images):
    """The images below a folder, by name. files: those whose heads could be read: size, whether
    grey, whether partly transparent. others: files of other kinds, by suffix.
    """

    origin: str
    files: list[Path]
    heads: list[tuple[tuple[int, int], bool, bool]]
    refused: list[str]
    others: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def sizes(self) -> set[tuple[int, int]]:
        return {size for size, _, _ in self.heads}

    @property
    def grey(self) -> bool:
        return not self.coloured

    @property
    def coloured(self) -> int:
        return sum(not grey for _, grey, _ in self.heads)

    @property
    def notes(self) -> list[str]:
        found = []
        if 0 < self.coloured < len(self):
            found.append(
                f"{len(self) - self.coloured:,} of the {len(self):,} images of {self.origin} are "
                "grey: they are taken as colour"
            )
        clear = sum(transparent for _, _, transparent in self.heads)
        if clear:
            found.append(f"{clear:,} images of {self.origin} have transparency, which is left out")
        if self.others:
            told = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self.others.items()))
            found.append(f"files of {self.origin} that were left out: {told}")
        return found

    @property
    def kinds(self) -> set[str]:
        return {file.suffix.lower().replace("jpeg", "jpg") for file in self.files}

    @property
    def broken(self) -> list[str]:
        return self.refused

    def checked(self, apply: Apply) -> Folder:
        """Without the images that can't be decoded; those join the refused."""

        def broken(index: int) -> str:
            try:
                self.read(index)
            except Unreadable as error:
                return str(error)
            return ""

        told = list(apply(broken, range(len(self.files))))
        kept = [i for i, text in enumerate(told) if not text]
        return replace(
            self,
            files=[self.files[i] for i in kept],
            heads=[self.heads[i] for i in kept],
            refused=[*self.refused, *(text for text in told if text)],
        )

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
        f"can't read {shown(path)}: it is no image, or damaged ({one_line(error, 80)}); "
        "--skip-unreadable leaves such files out and counts them"
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
            finite = np.isfinite(low + high)
            what = f"values of {low:.7g} to {high:.7g}" if finite else "values that are not finite"
            hint = ": (x + 1) / 2 brings [-1, 1] there" if -1 <= low < 0 and high <= 1 else ""
            raise UsageError(
                f"{self.origin}: image {index} has {what}: expected uint8, or floats in [0, 1]"
                f"{hint}"
            )
        return image


@dataclass(frozen=True, eq=False)
class Kept:
    """Features as they stand, or what was kept of some. tag: what they are of, empty where a file
    does not say; read: how images were brought to them. counted: whether the number of samples is
    known. thumbnails, ids, probabilities: as `Extracted` has them, or None.
    """

    origin: str
    features: Features
    tag: str = ""
    counted: bool = True
    ids: np.ndarray | None = None
    thumbnails: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    read: Mapping[str, str | int] = field(default_factory=dict)


Samples = Images | Kept
Given = str | Path | np.ndarray | Tensor | pd.DataFrame | Sequence


def open_samples(given: Given, role: str) -> Samples:
    """What a user names, or arrays. Raises UsageError that names what is wrong."""
    if isinstance(given, Tensor):
        return _of_array(_dense(given, role), role)
    if not isinstance(given, str | Path):
        try:
            return _of_array(np.asarray(given), role)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{role}: {one_line(error, 100)}: expected {FORMS}") from error
    if not str(given):
        raise UsageError(f"{role}: the name is empty: expected {FORMS}")
    path = Path(given).expanduser()
    if path.is_dir():
        return _folder(path)
    if str(given).partition(":")[0] in DATASETS and not path.exists():
        return registered(str(given))
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".pt", ".pth") or not path.is_file():
        there = "is not there" if not path.exists() else "is none of these"
        raise UsageError(f"{role}: {shown(path)} {there}: expected {FORMS}")
    if suffix == ".npz":
        return _archive(path)
    return _of_array(_numpy(path) if suffix == ".npy" else _tensor(path), shown(path))


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
    found, others = _below(path)
    if not found:
        raise UsageError(
            f"{shown(path)} holds no images: expected {', '.join(SUFFIXES)} files in it"
        )
    files, heads, refused = [], [], []
    for file in found:
        try:
            with Image.open(file) as opened:
                width, height = opened.size
                grey = opened.mode in GREY_MODES
                clear = opened.mode in ("RGBA", "LA", "PA", "La") or "transparency" in opened.info
        except _IMAGE_ERRORS as error:
            refused.append(_damaged(file, error))
            continue
        if width * height > MOST_PIXELS:
            refused.append(_damaged(file, ValueError(f"{width} x {height} pixels: a bomb?")))
            continue
        files.append(file)
        heads.append(((height, width), grey, clear))
    return Folder(shown(path), files, heads, refused, others)


def _below(path: Path) -> tuple[list[Path], dict[str, int]]:
    """Image files below a folder, links followed once, and how many others by suffix. Hidden
    folders and files are not looked at.
    """
    found, others, seen = [], Counter(), set()

    def refuse(error: OSError) -> None:
        raise UsageError(f"can't read {shown(error.filename)}: {error.strerror}") from error

    for folder, below, names in os.walk(path, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        fresh = [name for name in below if not name.startswith((".", "__"))]
        below[:] = [] if real in seen else sorted(fresh)
        for name in [] if real in seen else names:
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in SUFFIXES:
                found.append(Path(folder) / name)
            else:
                others[Path(name).suffix.lower() or "without a suffix"] += 1
        seen.add(real)
    return sorted(found), dict(others)


def _numpy(path: Path) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("it is an archive: call it .npz")
        return found
    except Exception as error:
        raise UsageError(
            f"can't read {shown(path)}: expected an .npy file of numbers ({one_line(error, 80)})"
        ) from error


def _tensor(path: Path) -> np.ndarray:
    """Raises UsageError for a file that asks to run code."""
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{shown(path)} was refused: it holds more than tensors, and reading it could run "
            "code: save the tensor alone (torch.save(x, ...)), or an .npy file"
        ) from error
    except Exception as error:
        raise UsageError(f"can't read {shown(path)}: {one_line(error, 100)}") from error
    if isinstance(found, Mapping):
        tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)}
        found = tensors[_chosen(path, list(tensors))]
    if not isinstance(found, Tensor):
        raise UsageError(f"{shown(path)}: expected a tensor, got {type(found).__name__}")
    return _dense(found, shown(path))


def _dense(tensor: Tensor, origin: str) -> np.ndarray:
    """A tensor of any layout as an array, bfloat16 and its like as float32."""
    size = tensor.numel() * max(4, tensor.element_size())
    if size > MOST_BYTES:
        raise UsageError(
            f"{origin}: {size / 2**30:,.0f} GiB of numbers: expected "
            f"{MOST_BYTES / 2**30:,.0f} at most"
        )
    try:
        plain = tensor.detach()
        plain = plain.dequantize() if plain.is_quantized else plain
        plain = plain.to_dense() if plain.layout != torch.strided else plain
        plain = plain.cpu().resolve_conj().resolve_neg()
        narrow = plain.is_floating_point() and plain.dtype not in (torch.float32, torch.float64)
        return (plain.float() if narrow else plain).numpy()
    except Exception as error:
        raise UsageError(
            f"{origin}: expected a plain tensor of numbers, got {tensor.dtype} "
            f"({one_line(error, 80)})"
        ) from error


def _chosen(path: Path, names: list[str]) -> str:
    known = next((name for name in NAMES if name in names), None)
    if known is None and len(names) != 1:
        held = ", ".join(names[:8]) or "nothing"
        raise UsageError(
            f"{shown(path)}: expected one array or one of {', '.join(NAMES)}; it has {held}"
        )
    return known or names[0]


def _archive(path: Path) -> Samples:
    try:
        with zipfile.ZipFile(path) as packed:
            total = sum(member.file_size for member in packed.infolist())
        if total > MOST_BYTES:
            raise UsageError(
                f"{shown(path)} would unpack to {total / 2**30:,.0f} GiB: expected "
                f"{MOST_BYTES / 2**30:,.0f} at most"
            )
        with np.load(path, allow_pickle=False) as file:
            if {"mu", "sigma"} <= set(file.files) or "card" in file.files:
                return _statistics(path, file)
            return _of_array(file[_chosen(path, file.files)], shown(path))
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"can't read {shown(path)}: expected an .npz file of arrays ({one_line(error, 80)})"
        ) from error


def _statistics(path: Path, file: Any) -> Kept:
    """Moments, with all that --save-stats keeps, or mu and sigma alone as other tools keep them."""
    origin = shown(path)
    card = _card(file, origin)
    n = int(card.get("n", file["n"] if "n" in file.files else 0))
    if n < 0 or n == 1:
        raise UsageError(f"{origin}: expected statistics of two samples or more, got n = {n}")
    moments = _moments(file, origin, n) if "mu" in file.files and "sigma" in file.files else None
    more = {k: file[k] for k in ("ids", "thumbnails", "probabilities") if k in file.files}
    points = _named(file["points"], origin) if "points" in file.files else None
    lengths = {len(array) for array in (*more.values(), *(() if points is None else (points,)))}
    if points is not None and (lengths != {n} or points.ndim != 2):
        raise UsageError(f"{origin} is damaged: its arrays are not all of {n:,} samples")
    kept = Features(points, moments)
    if points is None:
        more = {}
    read = card.get("read", {})
    return Kept(origin, kept, str(card.get("features", "")), bool(n), read=read, **more)


def _card(file: Any, origin: str) -> dict[str, Any]:
    try:
        card: Any = json.loads(str(file["card"])) if "card" in file.files else {}
    except ValueError as error:
        raise UsageError(f"{origin} is damaged: {one_line(error, 80)}") from error
    if not isinstance(card, dict) or not isinstance(card.get("read", {}), dict):
        raise UsageError(f"{origin} is damaged: its card is no table")
    if not isinstance(card.get("version", VERSION), int) or card.get("version", VERSION) > VERSION:
        raise UsageError(f"{origin} was written by a newer bench: update it, or save it again")
    return card


def _moments(file: Any, origin: str, n: int) -> Moments:
    """Of mu and sigma. Raises UsageError where they are none."""
    mean, covariance = file["mu"], file["sigma"]
    if mean.dtype.kind not in "fiu" or covariance.dtype.kind not in "fiu":
        raise UsageError(f"{origin}: expected mu and sigma as real numbers, got {mean.dtype}")
    mean, covariance = mean.astype(np.float64), covariance.astype(np.float64)
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise UsageError(
            f"{origin}: expected mu [d] and sigma [d, d], got {mean.shape} and {covariance.shape}"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UsageError(f"{origin}: mu or sigma is not finite")
    scale = np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > 1e-6 * scale or covariance.diagonal().min() < 0:
        raise UsageError(
            f"{origin}: sigma is no covariance: expected it symmetric, variances above 0"
        )
    return Moments(n or UNKNOWN, mean, covariance * ((n or UNKNOWN) - 1))


def _of_array(array: np.ndarray, origin: str) -> Samples:
    """Two dimensions are features; three or four are images."""
    if not len(array.shape) or not len(array):
        raise UsageError(f"{origin}: expected {FORMS}; it is empty")
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{origin}: expected an array of numbers, got {array.dtype}")
    if array.ndim == 2:
        if len(array) < 2 or not array.shape[1]:
            raise UsageError(
                f"{origin}: expected two or more features [n, d], got {list(array.shape)}"
            )
        points = _named(np.asarray(array), origin)
        return Kept(origin, Features(points), ids=row_ids(points))
    if array.ndim not in (3, 4):
        raise UsageError(
            f"{origin}: expected features [n, d] or images [n, h, w(, c)], got {list(array.shape)}"
        )
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise UsageError(
            f"{origin}: expected images as uint8, or floats in [0, 1], got {array.dtype}"
        )
    if array.ndim == 3 and array.shape[-1] in (1, 3, 4):
        raise UsageError(
            f"{origin}: {list(array.shape)} looks like one image: expected many [n, h, w(, c)]"
        )
    if not all(array.shape):
        raise UsageError(f"{origin}: expected images of a pixel at least, got {list(array.shape)}")
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


def row_ids(points: np.ndarray) -> np.ndarray:
    """A number for each row that its values decide, whatever their type, [n]."""
    exact = np.ascontiguousarray(points, dtype=np.float64) + 0.0
    return np.array([content_id(row) for row in exact], dtype=np.uint64)


def image_id(image: Tensor) -> int:
    """A number that the values of an image decide: as bytes where they are whole 255ths."""
    levels = (image * 255).round()
    whole = bool((levels - image * 255).abs().max() < 1e-3)
    return content_id((levels.to(torch.uint8) if whole else image).numpy())


def content_id(values: np.ndarray) -> int:
    """64 bits that the shape and the bytes of an array decide."""
    digest = hashlib.blake2b(str(values.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(values).tobytes())
    return int.from_bytes(digest.digest(), "little")


def packed(kept: Kept) -> bytes:
    """The .npz file of --save-stats: mu and sigma as others have them, and what else is known. A
    covariance of more than LARGEST_SIGMA dimensions is left out: the points tell it.
    """
    features, buffer = kept.features, io.BytesIO()
    card = {
        "version": VERSION,
        "features": kept.tag,
        "n": features.n if kept.counted else 0,
        "dims": features.dims,
        "read": dict(kept.read),
    }
    more: dict[str, Any] = {
        "points": features.points,
        "ids": kept.ids,
        "thumbnails": kept.thumbnails,
        "probabilities": kept.probabilities,
    }
    if features.dims <= LARGEST_SIGMA or features.points is None:
        moments = features.moments
        more |= {"mu": moments.mean, "sigma": moments.covariance}
    np.savez(
        buffer,
        n=np.int64(card["n"]),
        card=np.array(json.dumps(card)),
        **{name: array for name, array in more.items() if array is not None},
    )
    return buffer.getvalue()

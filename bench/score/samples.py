"""Samples to score: folders of images, arrays, tensors, statistics that were kept.

Images stay where they are until they are read, one at a time, as float32 [c, h, w] in [0, 1].
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bench.core.errors import UsageError, one_line
from bench.datasets.images import ImageArray, Images, shown
from bench.datasets.named import image_set
from bench.score.identity import row_ids
from bench.score.kept import Kept, statistics, usable
from metrics.features import Features

FORMS = (
    "a folder of images, an .npy, .npz or .pt file with an array [n, d] or [n, h, w(, c)], "
    "statistics that `save_stats` kept, or a data set with images, such as mnist5k or mnist5k:train"
)
NAMES = ("images", "features", "samples", "x", "X", "data", "arr_0")
MOST_BYTES = 2**35


Samples = Images | Kept
Given = str | Path | np.ndarray | Tensor | pd.DataFrame | Sequence


def open_samples(given: Given | None, role: str) -> Samples:
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
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".pt", ".pth"):
        try:
            return image_set(str(given), "a score")
        except UsageError as error:
            raise UsageError(f"{role}: {error}") from error
    if not path.is_file():
        there = "is not there" if not path.exists() else "is none of these"
        raise UsageError(f"{role}: {shown(path)} {there}: expected {FORMS}")
    if suffix == ".npz":
        return _archive(path)
    return _of_array(_numpy(path) if suffix == ".npy" else _tensor(path), shown(path))


def _numpy(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            start = file.read(len(np.lib.format.MAGIC_PREFIX))
        if start != np.lib.format.MAGIC_PREFIX:
            raise ValueError("it begins as another kind of file")
        return np.load(path, mmap_mode="r", allow_pickle=False)
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
                return statistics(path, file)
            return _of_array(file[_chosen(path, file.files)], shown(path))
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"can't read {shown(path)}: expected an .npz file of arrays ({one_line(error, 80)})"
        ) from error


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
        points = usable(np.asarray(array), origin)
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

"""Samples to score: folders of images, arrays, tensors, statistics that were kept.

Images stay where they are until they are read, one at a time, as float32 [c, h, w] in [0, 1].
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bench.core.errors import UsageError, one_line
from bench.core.files import user_path
from bench.datasets.arrays import array_of, opened
from bench.datasets.images import LEVELS, ImageArray, Images, channels_last, shown
from bench.datasets.named import image_set
from bench.score.identity import row_ids
from bench.score.kept import Kept, statistics, usable
from metrics.features import Features

FORMS = (
    "a folder of images, an .npy, .npz or .pt file with an array [n, d] or [n, h, w(, c)], "
    "statistics that `save_stats` kept, or a data set with images, such as mnist5k or mnist5k:train"
)
POINTER = b"version https://git-lfs"
NAMES = ("images", "features", "samples", "x", "X", "data", "arr_0")


Samples = Images | Kept
Given = str | Path | np.ndarray | Tensor | pd.DataFrame | Sequence | Callable[..., Any]


def open_samples(given: Given | None, role: str) -> Samples:
    """What a user names, or arrays. Raises UsageError that names what is wrong."""
    if not isinstance(given, str | Path):
        array = array_of(given, role)
        if not array.shape:
            raise UsageError(f"{role}: expected {FORMS}; got a {type(given).__name__}")
        return of_array(array, role)
    if not str(given).strip():
        raise UsageError(f"{role}: the name is empty: expected {FORMS}")
    path = user_path(given)
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
    return of_array(_numpy(path) if suffix == ".npy" else _tensor(path), shown(path))


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
        if _is_pointer(path):
            raise UsageError(
                f"{shown(path)} is a pointer of git-lfs, the file itself is elsewhere: git lfs pull"
            ) from error
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
    return array_of(found, shown(path))


def _is_pointer(path: Path) -> bool:
    """Whether a file only says where git-lfs keeps it."""
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _chosen(path: Path, names: list[str]) -> str:
    known = next((name for name in NAMES if name in names), None)
    if known is None and len(names) != 1:
        held = one_line(", ".join(names[:8]), 100) or "nothing"
        raise UsageError(
            f"{shown(path)}: expected one array or one of {', '.join(NAMES)}; it has {held}"
        )
    return known or names[0]


def _archive(path: Path) -> Samples:
    with opened(path) as file:
        if {"mu", "sigma"} <= set(file.files) or "card" in file.files:
            return statistics(path, file)
        return of_array(file[_chosen(path, file.files)], shown(path))


def of_array(array: np.ndarray, origin: str) -> Samples:
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
    if array.dtype.name not in LEVELS and array.dtype.kind not in "fb":
        raise UsageError(
            f"{origin}: expected images as uint8, uint16, or floats in [0, 1], got {array.dtype}"
        )
    if array.ndim == 3 and array.shape[-1] in (1, 3, 4):
        raise UsageError(
            f"{origin}: {list(array.shape)} looks like one image: expected many [n, h, w(, c)]"
        )
    if not all(array.shape):
        raise UsageError(f"{origin}: expected images of a pixel at least, got {list(array.shape)}")
    if array.ndim == 3:
        return ImageArray(origin, array[..., None], True)
    return ImageArray(origin, array, channels_last(array, origin))

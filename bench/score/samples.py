"""Samples to score: folders of images, arrays, tensors, statistics that were kept.

Images stay where they are until they are read, one at a time, as float32 [c, h, w] in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.files import user_path
from bench.datasets.arrayfiles import SUFFIXES, chosen, read_array
from bench.datasets.arrays import array_of, opened
from bench.datasets.images import LEVELS, ImageArray, Images, channels_last, shown
from bench.datasets.named import image_set
from bench.score.identity import row_ids
from bench.score.kept import Kept, statistics, usable
from metrics.features import Features

FORMS = (
    "a folder of images, an .npy, .npz, .pt or .csv file with an array [n, d] or [n, h, w(, c)], "
    "statistics that `save_stats` kept, or a data set with images, such as mnist5k or mnist5k:train"
)


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
    if suffix not in SUFFIXES:
        try:
            return image_set(str(given), "a score")
        except UsageError as error:
            raise UsageError(f"{role}: {error}") from error
    if not path.is_file():
        there = "is not there" if not path.exists() else "is none of these"
        raise UsageError(f"{role}: {shown(path)} {there}: expected {FORMS}")
    if suffix == ".npz":
        return _archive(path)
    return of_array(read_array(path), shown(path))


def _archive(path: Path) -> Samples:
    with opened(path) as file:
        if {"mu", "sigma"} <= set(file.files) or "card" in file.files:
            return statistics(path, file)
        return of_array(file[chosen(path, file.files)], shown(path))


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

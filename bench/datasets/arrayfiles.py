"""Files that hold one array: .npy, .npz, .pt, .csv. None runs code that a file holds."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bench.core.errors import UsageError, one_line
from bench.core.files import pointer_advice
from bench.datasets.arrays import array_of, opened
from bench.datasets.images import shown

SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".csv")
NAMES = ("images", "features", "samples", "x", "X", "data", "arr_0")
"""What an array may be called where a file holds several."""


def read_array(path: Path) -> np.ndarray:
    """The array of a file, as it is kept; an .npy file's stays on the disk. Raises UsageError for
    what holds none, or asks to run code.
    """
    if not path.is_file():
        there = "is not there" if not path.exists() else "is no file"
        raise UsageError(f"{shown(path)} {there}: expected one of {', '.join(SUFFIXES)}")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _numpy(path)
    if suffix == ".npz":
        with opened(path) as file:
            return file[chosen(path, file.files)]
    return _table(path) if suffix == ".csv" else _tensor(path)


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
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if advice := pointer_advice(path):
            pointer = advice.removeprefix("; it")
            raise UsageError(f"{shown(path)}{pointer}") from error
        raise UsageError(
            f"{shown(path)} was refused: it holds more than tensors, and reading it could run "
            "code: save the tensor alone (torch.save(x, ...)), or an .npy file"
        ) from error
    except Exception as error:
        raise UsageError(f"can't read {shown(path)}: {one_line(error, 100)}") from error
    if isinstance(found, Mapping):
        tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)}
        found = tensors[chosen(path, list(tensors))]
    if not isinstance(found, Tensor):
        raise UsageError(f"{shown(path)}: expected a tensor, got {type(found).__name__}")
    return array_of(found, shown(path))


def _table(path: Path) -> np.ndarray:
    """A sample a line, [n, d]; a first line of names is left out."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            first = next(csv.reader(file), [])
        table = pd.read_csv(path, header=None if all(map(_is_number, first)) else 0)
    except Exception as error:  # a damaged file makes pandas raise nearly anything
        raise UsageError(
            f"can't read {shown(path)}: expected numbers with commas between, a sample a line "
            f"({one_line(error, 80)})"
        ) from error
    words = [str(name) for name, kind in table.dtypes.items() if kind.kind not in "fiu"]
    if words:
        raise UsageError(
            f"{shown(path)}: column {one_line(words[0], 40)} holds more than numbers: expected a "
            "sample a line, numbers alone"
        )
    return table.to_numpy(dtype=np.float64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def chosen(path: Path, names: Sequence[str]) -> str:
    """The name of the array that is meant. Raises UsageError where several may be."""
    known = next((name for name in NAMES if name in names), None)
    if known is None and len(names) != 1:
        held = one_line(", ".join(names[:8]), 100) or "nothing"
        raise UsageError(
            f"{shown(path)}: expected one array or one of {', '.join(NAMES)}; it has {held}"
        )
    return known or names[0]

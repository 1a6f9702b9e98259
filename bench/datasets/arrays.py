"""Images with labels as arrays: in a user's .npz file, or handed over as they are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as Examples
from torch.utils.data import TensorDataset

from bench.core.errors import UsageError, one_line
from bench.core.files import MOST_BYTES, too_large
from bench.datasets.images import as_unit, channels_last, shown
from bench.datasets.turns import first_places

IMAGES = ("images", "image", "x", "X", "data", "x_test", "X_test", "test_images", "arr_0")
LABELS = ("labels", "label", "y", "Y", "targets", "target", "y_test", "test_labels", "arr_1")
TRAINING = ("x_train", "X_train", "train_images"), ("y_train", "train_labels")
MOST_CLASSES = 2**31

Pair = tuple[np.ndarray, np.ndarray]


@contextmanager
def opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """An .npz file. Raises UsageError for what is none, would run code, or unpacks to more than
    any machine holds; so does what is read inside the context.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            wrong = too_large(packed)
        if wrong:
            raise UsageError(f"{shown(path)} {wrong}")
        with np.load(path, allow_pickle=False) as file:
            yield file
    except UsageError:
        raise
    except Exception as error:  # a damaged archive makes NumPy raise nearly anything
        raise UsageError(
            f"can't read {shown(path)}: expected an .npz file of arrays ({one_line(error, 80)})"
        ) from error


def read_archive(path: Path, keys: Sequence[str] = ()) -> Pair:
    """The images and labels of an .npz file, as they are kept there: those to test on where it has
    others to train on. keys: what they are called, where that is none of the usual names. Raises
    UsageError for a file that can't be read or lacks one of them.
    """
    with opened(path) as file:
        images, labels = ((key,) for key in keys) if keys else _mates(file.files)
        return _named(path, file, images), _named(path, file, labels)


def training_part(path: Path) -> Pair | None:
    """The images and labels to train on, where an .npz file tells them from those to test on."""
    with opened(path) as file:
        found = [next((name for name in names if name in file.files), "") for names in TRAINING]
        return (_array(path, file, found[0]), _array(path, file, found[1])) if all(found) else None


def _mates(held: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The usual names of images and of labels; those that go together where both are there."""
    every = IMAGES, LABELS
    test = [tuple(name for name in names if "test" in name) for names in every]
    rest = [tuple(name for name in names if "test" not in name) for names in every]
    whole = (pair for pair in (rest, test) if all(set(names) & set(held) for names in pair))
    first, second = next(whole, every)
    return first, second


def _named(path: Path, file: np.lib.npyio.NpzFile, names: Sequence[str]) -> np.ndarray:
    found = next((name for name in names if name in file.files), None)
    if found is None:
        raise UsageError(
            f"{shown(path)} has no '{names[0]}': expected one of {', '.join(names)}, it has "
            f"{one_line(', '.join(file.files), 100) or 'nothing'}; `keys` names others"
        )
    return _array(path, file, found)


def _array(path: Path, file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """A member of an archive. Raises UsageError for one that is no array: its bytes."""
    found: Any = file[name]
    if not isinstance(found, np.ndarray):
        raise UsageError(f"{shown(path)} is damaged: '{one_line(name, 60)}' is no array")
    return found


def pair_of(given: Any, limit: int) -> tuple[Any, Any]:
    """Images and labels out of what Python users hold: two of anything, a table with `images` and
    `labels`, a torch Dataset of pairs (`limit` of it). Raises UsageError for others.
    """
    if isinstance(given, Mapping):
        found = [next((given[n] for n in names if n in given), None) for names in (IMAGES, LABELS)]
        if found[0] is None or found[1] is None:
            held = one_line(", ".join(map(str, given)), 100)
            raise UsageError(f"`data`: expected a table with images and labels, it has {held}")
        return found[0], found[1]
    if isinstance(given, TensorDataset) and len(given.tensors) == 2:
        return given.tensors[0], given.tensors[1]
    if isinstance(given, Examples):
        return _examples(given, limit)
    if isinstance(given, tuple | list) and len(given) == 2:
        return given[0], given[1]
    kind = type(given).__name__
    if isinstance(given, tuple | list):
        kind = f"{kind} of {len(given)}"
    raise UsageError(
        f"`data`: expected a name, (images, labels), or a torch Dataset of pairs, got a {kind}"
    )


def _examples(given: Any, limit: int) -> tuple[Any, Any]:
    """The first of a data set of pairs, as two lists; drawn over the classes where its `targets`
    are sorted.
    """
    try:
        known = np.asarray(getattr(given, "targets", ()))
        told = known.ndim == 1 and len(known) == len(given) and known.dtype.kind in "iu"
        places = first_places(known, limit) if told else range(min(limit, len(given)))
        pairs = [given[int(index)] for index in places]
        return [array_of(image, "`data`") for image, _ in pairs], [int(label) for _, label in pairs]
    except UsageError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise UsageError(
            f"`data`: expected pairs of an image and a label from a {type(given).__name__}, got "
            f"{one_line(f'{type(error).__name__}: {error}', 100)}"
        ) from error


def array_of(given: Any, origin: str) -> np.ndarray:
    """An array of what holds numbers: an array, a tensor of any layout and device, lists. bfloat16
    and its like become float32. Raises UsageError for others.
    """
    if isinstance(given, Tensor):
        return _dense(given, origin)
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise UsageError(
            f"{origin}: some values are masked: fill them (`.filled(0)`), or drop them"
        )
    try:
        return np.asarray(given)
    except Exception as error:  # whatever an object's __array__ raises
        raise UsageError(f"{origin}: expected numbers: {one_line(error, 100)}") from error


def _dense(tensor: Tensor, origin: str) -> np.ndarray:
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


def as_images(images: Any, labels: Any, origin: str) -> Pair:
    """Images [n, h, w], [n, h, w, 1 or 3] or channels first (any number that is less than the
    sides), uint8, uint16 or floats in [0, 1], as float32 [n, c, h, w]; and their labels, int64 [n].

    Raises UsageError that names the index at fault.
    """
    made, known, _, _ = some_images(images, labels, origin, None)
    return made, known


def some_images(
    images: Any, labels: Any, origin: str, limit: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The same of the first `limit` images, or of those that are drawn over the classes where they
    are sorted (`bench.datasets.turns`); with their places, and how many images there are.
    """
    given = array_of(images, f"{origin}: images")
    if given.ndim not in (3, 4) or not len(given):
        raise UsageError(f"{origin}: expected images [n, h, w(, c)], got {given.shape}")
    if not all(given.shape):
        raise UsageError(f"{origin}: expected images of a pixel at least, got {given.shape}")
    known = _as_labels(array_of(labels, f"{origin}: labels"), len(given), origin)
    grown = given[:, None] if given.ndim == 3 else given
    if channels_last(grown, origin, others=True):
        grown = np.moveaxis(grown, -1, 1)
    places = first_places(known, limit)
    few = grown[: len(places)] if _are_first(places) else grown[places]
    made = np.ascontiguousarray(as_unit(few, origin, places=places))
    return made, known[places], places, len(given)


def _are_first(places: np.ndarray) -> bool:
    return bool((places == np.arange(len(places))).all())


def _as_labels(labels: np.ndarray, n: int, origin: str) -> np.ndarray:
    """int64 [n]. Raises UsageError for what names no class of every image."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (n,):
        hint = ": argmax(1) makes numbers of them" if labels.ndim == 2 else ""
        raise UsageError(
            f"{origin}: expected a label for each of {n} images, got {labels.shape}{hint}"
        )
    if labels.dtype.kind not in "fiub":
        raise UsageError(f"{origin}: expected labels as integers, got {labels.dtype}")
    numbers = labels.astype(np.float64)
    broken = ~((np.abs(numbers) <= MOST_CLASSES) & (np.floor(numbers) == numbers))
    if broken.any():
        index = int(broken.argmax())
        raise UsageError(f"{origin}: label {index} is {labels[index]:g}: expected whole numbers")
    return labels.astype(np.int64)

"""Images with labels as arrays: in a user's .npz file, or handed over as they are."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from bench.core.errors import UsageError

IMAGES, LABELS = ("images", "x", "X", "data"), ("labels", "y", "Y", "targets")


def read_archive(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of an .npz file, as they are kept there. Raises UsageError for a file
    that can't be read or lacks one of them.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return _named(path, file, IMAGES), _named(path, file, LABELS)
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(f"can't read {path}: expected an .npz file of arrays ({error})") from error


def _named(path: Path, file: np.lib.npyio.NpzFile, names: tuple[str, ...]) -> np.ndarray:
    found = next((name for name in names if name in file.files), None)
    if found is None:
        raise UsageError(
            f"{path} has no '{names[0]}': expected one of {', '.join(names)}, it has "
            f"{', '.join(file.files) or 'nothing'}"
        )
    return file[found]


def as_images(
    images: np.ndarray, labels: np.ndarray, origin: str, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The first `limit` images, [n, h, w], [n, h, w, 1 or 3] or channels first, floats in [0, 1],
    as float32 [n, c, h, w]; and their labels, int64 [n].

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
    first = np.ascontiguousarray(grown[:limit], dtype=np.float32)
    _refuse_values(first, origin)
    return first, labels[:limit].astype(np.int64)


def _refuse_values(images: np.ndarray, origin: str) -> None:
    flat = images.reshape(len(images), -1)
    broken = ~np.isfinite(flat).all(1)
    if broken.any():
        index = int(broken.argmax())
        raise UsageError(f"{origin}: image {index} is not finite: expected numbers in [0, 1]")
    outside = ((flat < 0) | (flat > 1)).any(1)
    if outside.any():
        index = int(outside.argmax())
        low, high = float(flat[index].min()), float(flat[index].max())
        advice = "divide by 255" if high > 2 else "bring them to [0, 1] and declare `range`"
        raise UsageError(
            f"{origin}: image {index} has values from {low:.3g} to {high:.3g}: expected [0, 1]; "
            f"{advice}"
        )

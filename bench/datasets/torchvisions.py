"""Images that torchvision knows how to read: CIFAR-10, SVHN and others, where their files are."""

from __future__ import annotations

from functools import cache, partial
from itertools import islice
from typing import Any

import numpy as np

from bench.core.errors import UsageError, one_line, unknown
from bench.datasets.base import DATASETS
from bench.datasets.digits import Split, data_folder
from bench.datasets.labelled import Labelled, squared

PREFIX = "torchvision:"
_SOURCES = {
    "mnist": "MNIST",
    "fashion": "FashionMNIST",
    "shoes": "FashionMNIST",
    "boots": "FashionMNIST",
    "cifar10": "CIFAR10",
}
_BY_TRAIN = ("CIFAR10", "CIFAR100", "FashionMNIST", "KMNIST", "MNIST", "QMNIST", "USPS")
_BY_SPLIT = (
    *("Country211", "DTD", "FGVCAircraft", "Flowers102", "Food101", "GTSRB", "PCAM"),
    *("RenderedSST2", "STL10", "SVHN"),
)
KNOWN = (*_BY_TRAIN, *_BY_SPLIT)
"""Those with one class an image, and a part to train on and one to test on."""


def named(name: str, side: int | None = None) -> Labelled:
    """`torchvision:NAME`, brought to `side` pixels where a side is given: those of several sizes
    need one. Raises UsageError for a name that is none of those that can be used.
    """
    short = _known(name)
    load, classes = partial(_split, short, side), 0
    if not _absent(short):
        split = load()
        classes = 1 + int(max(split.labels.max(), split.held_labels.max()))
    return Labelled(name, load, classes=classes, absent=partial(_absent, short))


def _known(name: str) -> str:
    short = name.removeprefix(PREFIX)
    if short not in KNOWN:
        raise unknown("data set of torchvision", short, KNOWN)
    return short


def source_of(name: str) -> str:
    """What torchvision calls the files that a data set is made of; empty where it has none."""
    if name.startswith(PREFIX):
        return name.removeprefix(PREFIX)
    return _SOURCES.get(name.rpartition("@")[2], "")


def fetch(name: str) -> None:
    """Download the files of a data set into the data folder. Raises UsageError where that fails, or
    the data set is not torchvision's.
    """
    short = source_of(name)
    if not short:
        raise UsageError(f"`download`: dataset '{name}' is nothing that torchvision can fetch")
    for train in (True, False):
        _opened(short, train, download=True)
    _looked_for.cache_clear()


def _absent(name: str) -> str:
    return _looked_for(name, str(data_folder()))


@cache
def _looked_for(name: str, folder: str) -> str:
    try:
        _opened(name, False, download=False)
    except UsageError as error:
        return str(error)
    return ""


def _opened(name: str, train: bool, download: bool) -> Any:
    import torchvision.datasets

    kind = getattr(torchvision.datasets, name)
    part: dict[str, Any] = {"train": train}
    if name in _BY_SPLIT:
        part = {"split": "train" if train else "test"}
    try:
        return kind(data_folder(), download=download, **part)
    except (RuntimeError, TypeError, OSError, ValueError) as error:
        raise UsageError(
            f"{PREFIX}{name} is not here ({one_line(error, 100)}): looked in {data_folder()}, "
            "which MINIMAX_DATA sets; `download` fetches it"
        ) from error


def _split(name: str, side: int | None = None) -> Split:
    return _read(name, side, str(data_folder()))


@cache
def _read(name: str, side: int | None, folder: str) -> Split:
    found = [_arrays(_opened(name, train, download=False), name, side) for train in (True, False)]
    return Split(*found[0], *found[1])


def some(
    name: str, limit: int, side: int | None, train: bool, download: bool
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The first `limit` images of one part of a data set, uint8 [n, h, w(, 3)], their labels, and
    the names of its classes, where it has any. Raises UsageError where it is not here.
    """
    short = _known(name)
    opened = _opened(short, train, download)
    images, labels = _arrays(opened, short, side, limit)
    return images, labels, [str(kind) for kind in getattr(opened, "classes", [])]


def _arrays(
    opened: Any, name: str, side: int | None, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Its images, uint8 [n, h, w(, 3)], and labels."""
    images, labels = [], []
    for image, label in islice(opened, limit):
        images.append(np.asarray(image if side is None else squared(image, side)))
        labels.append(int(label))
    if len({image.shape for image in images}) != 1:
        raise UsageError(
            f"{PREFIX}{name} has images of several sizes: bring them to one with the setting "
            "size=64"
        )
    return np.stack(images), np.array(labels, dtype=np.int64)


DATASETS.register(
    "cifar10",
    summary="CIFAR-10, 50,000 colour images of 32 x 32, 10,000 held out (to be downloaded)",
    modes=10,
    large=True,
    licence="CIFAR-10, Krizhevsky 2009: no licence stated",
)(Labelled("cifar10", partial(_split, "CIFAR10"), absent=partial(_absent, "CIFAR10")))

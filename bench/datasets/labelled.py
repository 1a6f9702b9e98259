"""Labelled images for classifiers: digits, clothes, and the photos that ship with foolbox."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import digits
from bench.datasets.base import DATASETS, Batches, Dataset, LabelledBatches, Source
from bench.datasets.batches import LabelledEpochs, ShuffledEpochs
from bench.datasets.digits import Split
from bench.datasets.photos import photos
from bench.datasets.pixels import to_unit
from bench.datasets.stacks import ESTIMATOR_VALUES, MNIST_LICENCE


@dataclass(frozen=True, eq=False)
class Labelled(Dataset):
    """Images with a class each, to train on and held out.

    load: the images, uint8 [n, h, w] or [n, h, w, 3]. classes: how many, 0 where they are not
    known. only: the classes that are kept, relabelled from 0 in this order; all where empty.
    absent: why they are not here, or empty. judge: the frozen classifier that reads such images,
    or empty. licence: of the images.
    """

    name: str
    load: Callable[[], Split]
    classes: int = 10
    only: tuple[int, ...] = ()
    absent: Callable[[], str] = lambda: ""
    judge: str = ""
    licence: str = ""

    @property
    def missing(self) -> str:
        return self.absent()

    def resized(self, side: int) -> Labelled:
        """The same images at `side` x `side` pixels."""
        load = partial(_brought, self.load, self.only, side)
        return replace(self, load=load, only=())

    @property
    def offers(self) -> frozenset[str]:
        known = self.classes or self.missing
        return frozenset({"images", "classes"} if known else {"images"})

    @property
    def modes(self) -> int:
        return self.classes

    @property
    def split(self) -> Split:
        """The images and labels. Raises UsageError where they are missing."""
        return _restricted(self.load, self.only)

    @property
    def fingerprint(self) -> str:
        """Empty where the images are missing."""
        return "" if self.missing else _fingerprint(self.split)

    def source(self, seed: int, device: str = "cpu") -> LabelledSource:
        return LabelledSource(self, seed, device)


@cache
def _restricted(load: Callable[[], Split], only: tuple[int, ...]) -> Split:
    split = load()
    if not only:
        return split
    sides = ((split.images, split.labels), (split.held_images, split.held_labels))
    parts = []
    for images, labels in sides:
        kept = np.isin(labels, only)
        position = {label: index for index, label in enumerate(only)}
        named = [position[int(label)] for label in labels[kept]]
        parts += [images[kept], np.array(named, dtype=np.int64)]
    return Split(*parts)


@cache
def _brought(load: Callable[[], Split], only: tuple[int, ...], side: int) -> Split:
    split = _restricted(load, only)
    images, held = (bicubic(part, side) for part in (split.images, split.held_images))
    return Split(images, split.labels, held, split.held_labels)


def bicubic(images: np.ndarray, side: int) -> np.ndarray:
    """By Pillow, whose fixed-point arithmetic gives every machine the same bytes."""
    if images.shape[1:3] == (side, side) or not len(images):
        return images
    way = Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(x).resize((side, side), way)) for x in images])


def squared(picture: Image.Image, side: int) -> Image.Image:
    """The middle square of a picture, at `side` pixels."""
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    square = picture.crop((left, top, left + short, top + short))
    return square.resize((side, side), Image.Resampling.BICUBIC)


@cache
def _fingerprint(split: Split) -> str:
    digest = hashlib.sha256(b"labelled")
    for array in (split.images, split.labels, split.held_images, split.held_labels):
        digest.update(f"|{array.shape}|".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def as_tensor(images: np.ndarray, device: str = "cpu") -> Tensor:
    """uint8 [n, h, w] or [n, h, w, c] as [n, c, h, w], still uint8."""
    grown = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.array(grown, order="C")).to(device)


class LabelledSource(Source):
    """The data of one seed. Images are float32 in [0, 1], [n, c, h, w]; the order is the seed's.
    Real examples that are drawn afresh are the held-out ones, each once before any comes again.
    """

    box = (0.0, 1.0)

    def __init__(self, data: Labelled, seed: int, device: str = "cpu") -> None:
        self._split, self.device = data.split, device
        self.modes = self.classes = data.classes
        self.shape = tuple(as_tensor(self._split.held_images[:1]).shape[1:])
        self._purpose = ("data", data.fingerprint, seed)

    @cached_property
    def _order(self) -> Tensor:
        rng = stream(*self._purpose, "order")
        return torch.randperm(len(self._split.images), generator=rng)

    @property
    def training(self) -> Tensor:
        return self._training

    @cached_property
    def _training(self) -> Tensor:
        values = ESTIMATOR_VALUES // max(1, self.training_bytes[:1].numel())
        return to_unit(self.training_bytes[:values])

    @cached_property
    def training_bytes(self) -> Tensor:
        """All that there is to train on, uint8 [n, c, h, w]; `training` is as many of them as an
        estimator gets, as floats.
        """
        return as_tensor(self._split.images, self.device)[self._order.to(self.device)]

    @cached_property
    def training_labels(self) -> Tensor:
        """Of `training_bytes`, in its order."""
        return torch.tensor(self._split.labels)[self._order].to(self.device)

    @cached_property
    def held_out(self) -> Tensor:
        """Images that nothing is trained on, in an order that is the same for every seed."""
        return to_unit(as_tensor(self._split.held_images, self.device))

    @cached_property
    def held_out_labels(self) -> Tensor:
        """Of `held_out`."""
        return torch.tensor(self._split.held_labels, device=self.device)

    def batches(self) -> Batches:
        return ShuffledEpochs(self.training_bytes, self._batching, to_unit)

    def labelled_batches(self) -> LabelledBatches:
        if not self.classes:
            return super().labelled_batches()
        labels, images = self.training_labels, self.training_bytes
        return LabelledEpochs(images, labels, self._batching, to_unit)

    @property
    def _batching(self) -> torch.Generator:
        return stream(*self._purpose, "batches", device=self.device)

    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        allowed = torch.ones_like(self.held_out_labels, dtype=torch.bool)
        if classes is not None:
            kept = torch.tensor(list(classes), dtype=torch.int64, device=self.device)
            allowed = torch.isin(self.held_out_labels, kept)
        pool = allowed.nonzero()[:, 0]
        if not len(pool):
            asked = "" if classes is None else f" of the classes {list(classes)}"
            raise UsageError(f"expected held-out images{asked}, and there are none")
        whole = [
            torch.randperm(len(pool), generator=rng, device=rng.device)
            for _ in range(-(-n // len(pool)))
        ]
        return self.held_out[pool[torch.cat(whole)[:n].to(self.device)]]

    @property
    def density(self) -> None:
        return None


OPTDIGITS_LICENCE = "Optical Recognition of Handwritten Digits, Alpaydin and Kaynak: CC BY 4.0"


def _absent(folder: Callable[[], Path | None], name: str) -> Callable[[], str]:
    return lambda: "" if folder() else digits.how_to_get(name)


def _register(
    summary: str, licence: str, data: Labelled, paper: str = "", large: bool = False
) -> None:
    facts = {"modes": data.classes, "licence": licence, "judge": data.judge, "large": large}
    named = replace(data, licence=licence)
    DATASETS.register(data.name, paper=paper, summary=summary, **facts)(named)


_register(
    "5,000 labelled MNIST digits, 1,000 held out",
    MNIST_LICENCE,
    Labelled("mnist5k", digits.mnist5k, judge="digits-cnn"),
)
_register(
    "The threes and sevens of mnist5k, 200 held out",
    MNIST_LICENCE,
    Labelled("mnist5k-3v7", digits.mnist5k, 2, only=(3, 7)),
)
_register(
    "1,797 labelled digits of 8 x 8 pixels, 300 held out",
    OPTDIGITS_LICENCE,
    Labelled("optdigits", digits.digits8, judge="optdigits-cnn"),
)
_register(
    "MNIST, 10,000 held out (to be downloaded)",
    MNIST_LICENCE,
    Labelled(
        "mnist", digits.mnist, absent=_absent(digits.mnist_folder, "MNIST"), judge="digits-cnn"
    ),
    large=True,
)
_register(
    "Fashion-MNIST, 10,000 held out (to be downloaded)",
    "Fashion-MNIST, Zalando SE: MIT",
    Labelled(
        "fashion",
        digits.fashion,
        absent=_absent(digits.fashion_folder, "FashionMNIST"),
        judge="fashion-cnn",
    ),
    paper="arXiv:1708.07747",
    large=True,
)
_register(
    "20 ImageNet photos that ship with foolbox, all held out",
    "ImageNet's terms: research, no clear licence",
    Labelled("photos", photos, 1000),
)

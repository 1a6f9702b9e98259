"""Stacks: images whose channels are independent real digits, so that the modes are countable.

A stack of 3 digits has 1,000 modes (Metz et al. 2017, section 3.3.2; Srivastava et al. 2017).
One digit is a stack of 1. Digits are drawn class by class, so that every mode is equally likely.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from bench.core.randomness import stream
from bench.datasets import digits
from bench.datasets.base import DATASETS, Batches, Dataset, Source
from bench.datasets.batches import FreshDraws, ShuffledEpochs
from bench.datasets.digits import CLASSES, Split

ESTIMATOR_VALUES = 2**24


@dataclass(frozen=True, eq=False)
class Stack(Dataset):
    """`depth` digits of one split side by side as channels.

    name: of the images. judge: the frozen classifier that reads them. load: the images. absent:
    why they are not here, or empty. estimated: values in the stacks that an estimator gets.
    """

    name: str
    depth: int
    judge: str
    load: Callable[[], Split]
    absent: Callable[[], str] = lambda: ""
    estimated: int = ESTIMATOR_VALUES

    @property
    def missing(self) -> str:
        return self.absent()

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"stacks", "modes"})

    @property
    def modes(self) -> int:
        return CLASSES**self.depth

    @property
    def fingerprint(self) -> str:
        """Empty where the images are missing."""
        return "" if self.missing else _fingerprint(self.depth, self.load())

    def source(self, seed: int, device: str = "cpu") -> StackSource:
        return StackSource(self, seed, device)


@cache
def _fingerprint(depth: int, split: Split) -> str:
    digest = hashlib.sha256(f"stack|{depth}".encode())
    for array in (split.images, split.labels, split.held_images, split.held_labels):
        digest.update(f"|{array.shape}|".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Pool:
    """Labelled images on a device, drawn class by class."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, device: str) -> None:
        order = np.argsort(labels, kind="stable")
        self.images = torch.from_numpy(images[order]).to(device)
        counts = np.bincount(labels, minlength=CLASSES)
        self._counts = torch.from_numpy(counts).to(device)
        self._starts = torch.from_numpy(np.cumsum(counts) - counts).to(device)

    def draw(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        """A random image of each label, uint8: [...] to [..., h, w]."""
        unit = torch.rand(labels.shape, generator=rng, device=labels.device, dtype=torch.float64)
        within = (unit * self._counts[labels]).long()
        return self.images[self._starts[labels] + within]


class StackSource(Source):
    """The stacks of one seed. Images are float32 in [0, 1], [n, depth, h, w]."""

    box = (0.0, 1.0)

    def __init__(self, stack: Stack, seed: int, device: str = "cpu") -> None:
        split = stack.load()
        self.stack, self.device = stack, device
        self.shape = (stack.depth, *split.images.shape[1:])
        self.modes, self.classes = stack.modes, CLASSES
        self._purpose = ("data", stack.fingerprint, seed)
        self._split = split

    @cached_property
    def _pool(self) -> Pool:
        return Pool(self._split.images, self._split.labels, self.device)

    @cached_property
    def _held_out(self) -> Pool:
        return Pool(self._split.held_images, self._split.held_labels, self.device)

    def _stacks(self, pool: Pool, n: int, rng: torch.Generator, classes: Sequence[int]) -> Tensor:
        allowed = torch.tensor(classes, device=rng.device)
        shape = (n, self.stack.depth)
        chosen = torch.randint(len(allowed), shape, generator=rng, device=rng.device)
        return pool.draw(allowed[chosen], rng).float() / 255

    @property
    def training(self) -> Tensor:
        return self._training

    @cached_property
    def _training(self) -> Tensor:
        if self.stack.depth == 1:
            images = self._pool.images[:, None].float() / 255
            rng = stream(*self._purpose, "order", device=self.device)
            return images[torch.randperm(len(images), generator=rng, device=self.device)]
        n = self.stack.estimated // int(np.prod(self.shape))
        rng = stream(*self._purpose, "training", device=self.device)
        return self._stacks(self._pool, n, rng, range(CLASSES))

    def batches(self) -> Batches:
        rng = stream(*self._purpose, "batches", device=self.device)
        if self.stack.depth == 1:
            return ShuffledEpochs(self.training, rng)
        return FreshDraws(lambda n, rng: self._stacks(self._pool, n, rng, range(CLASSES)), rng)

    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        kept = range(CLASSES) if classes is None else classes
        return self._stacks(self._held_out, n, rng, kept)

    @property
    def density(self) -> None:
        return None


MNIST_LICENCE = "MNIST, LeCun and Cortes: CC BY-SA 3.0"
_ABSENT: dict[str, Callable[[], str]] = {
    "MNIST": lambda: "" if digits.mnist_folder() else digits.how_to_get("MNIST"),
    "FashionMNIST": lambda: "" if digits.fashion_folder() else digits.how_to_get("FashionMNIST"),
}


def _register(
    images: str,
    described: str,
    judge: str,
    load: Callable[[], Split],
    licence: str,
    absent: Callable[[], str] | None = None,
) -> None:
    """One image, stacks of two and stacks of three; those that are downloaded are large."""
    for depth, kind in ((1, "single"), (2, "stack2"), (3, "stack3")):
        name = f"{kind}@{images}"
        many = f"stacks of {depth}, {CLASSES**depth:,} modes" if depth > 1 else "one by one"
        DATASETS.register(
            name,
            paper="arXiv:1611.02163" if depth == 3 else "",
            summary=f"{described}, {many}",
            modes=CLASSES**depth,
            licence=licence,
            large=absent is not None,
        )(Stack(name, depth, judge, load, absent or (lambda: "")))


_register(
    "mnist5k", "5,000 MNIST digits, 1,000 held out", "digits-cnn", digits.mnist5k, MNIST_LICENCE
)
_register(
    "optdigits",
    "1,797 digits of 8 x 8 pixels, 300 held out",
    "optdigits-cnn",
    digits.digits8,
    "Optical Recognition of Handwritten Digits, Alpaydin and Kaynak: CC BY 4.0",
)
_register(
    "mnist",
    "MNIST, 10,000 held out (to be downloaded)",
    "digits-cnn",
    digits.mnist,
    MNIST_LICENCE,
    _ABSENT["MNIST"],
)
_register(
    "fashion",
    "Fashion-MNIST, 10,000 held out (to be downloaded)",
    "fashion-cnn",
    digits.fashion,
    "Fashion-MNIST, Zalando SE: MIT",
    _ABSENT["FashionMNIST"],
)

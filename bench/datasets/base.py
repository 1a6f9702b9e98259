"""What every data set offers: a fingerprint, and the data of one seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Registry


class Batches(ABC):
    """An endless stream of training batches that knows its position."""

    @abstractmethod
    def next(self, n: int) -> Tensor:
        """The next `n` training examples, [n, ...]."""

    @abstractmethod
    def position(self) -> dict[str, Tensor]:
        """Where the stream stands, as tensors."""

    @abstractmethod
    def seek(self, position: dict[str, Tensor]) -> None:
        """Go on from a position that `position` returned."""


@runtime_checkable
class Density(Protocol):
    """Anything with a log density, in nats."""

    def log_prob(self, x: np.ndarray) -> np.ndarray: ...


class LabelledBatches(ABC):
    """The same with the class of each example."""

    @abstractmethod
    def next(self, n: int) -> tuple[Tensor, Tensor]:
        """The next `n` training examples [n, ...], and their classes [n]."""

    @abstractmethod
    def position(self) -> dict[str, Tensor]:
        """Where the stream stands, as tensors."""

    @abstractmethod
    def seek(self, position: dict[str, Tensor]) -> None:
        """Go on from a position that `position` returned."""


class Source(ABC):
    """The data of one data set and seed; every model of the seed sees the same.

    shape: of one example, (d,) for points, (channels, h, w) for images. device: where tensors
    live. modes: how many there are, 0 if unknown. classes: what the modes are made of: the modes
    themselves, or the digits of which a stack has several. box: the range of the values, or None.
    """

    shape: tuple[int, ...]
    device: str
    modes: int
    classes: int
    box: tuple[float, float] | None = None

    @property
    @abstractmethod
    def training(self) -> Tensor:
        """The training set, [n, ...]; where data are drawn afresh, or are too many to hold as
        floats, as many as an estimator gets.
        """

    @abstractmethod
    def batches(self) -> Batches:
        """A stream of training batches, from its start."""

    def labelled_batches(self) -> LabelledBatches:
        """The same stream with the class of each example. Raises UsageError where none is known."""
        raise UsageError("these data have no classes: expected a data set with labelled examples")

    @abstractmethod
    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        """`n` real examples that no model trained on; of these classes only, if any are named."""

    @property
    @abstractmethod
    def density(self) -> Density | None:
        """The true density, where it is known."""


OFFERED = {
    "points": "points",
    "images": "images",
    "modes": "modes that are known",
    "classes": "classes",
    "stacks": "stacks of digits",
    "domains": "two domains of images",
    "captions": "images with captions",
    "few": "images of which few have a class",
    "duel": "a game of two numbers",
}
"""What a data set may offer and a task may need, in words."""


class Dataset(ABC):
    """A named target: where its data come from and what is known about it."""

    name: str

    @property
    @abstractmethod
    def offers(self) -> frozenset[str]:
        """What it has, of OFFERED: what a task needs must be among it."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A sha256 of what the data are; the same name with other data has another one."""

    @property
    def missing(self) -> str:
        """Why the data are not here and how to get them; empty where they are."""
        return ""

    @abstractmethod
    def source(self, seed: int, device: str = "cpu") -> Source:
        """The data of one seed. Raises UsageError where they are missing."""


@dataclass(frozen=True)
class DatasetFacts:
    """`modes`: how many the data have; `licence`: of the data, where they have one; `judge`: the
    frozen classifier that reads such images, where there is one; `large`: so many or so large that
    most laws leave them alone.
    """

    modes: int = 0
    licence: str = ""
    judge: str = ""
    large: bool = False


DATASETS: Registry[Dataset, DatasetFacts] = Registry("dataset", DatasetFacts, listed_as="datasets")

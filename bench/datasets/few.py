"""Few labels: images of which n have a class, as many of each, and the others none.

`few@NAME` of any data set of labelled images. Nothing but `every_label` reads another label: the
stream of all images has none, the labelled stream has the n examples alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets.base import DATASETS, Batches, Dataset, LabelledBatches, Source
from bench.datasets.batches import LabelledEpochs
from bench.datasets.labelled import Labelled, LabelledSource
from bench.datasets.pixels import to_unit

FEW = "few@"
LABELS = 100


def chosen(labels: Tensor, each: int, classes: int) -> Tensor:
    """The places of the first `each` of every class, [each * classes], in rising order: fewer are
    the first of more.
    """
    found = [(labels == label).nonzero()[:each, 0] for label in range(classes)]
    return torch.cat(found).sort().values


@dataclass(frozen=True, eq=False)
class Few(Dataset):
    """Labelled images with `labels` of the labels. Which depends on the seed."""

    base: Labelled
    labels: int = LABELS

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the images with all labels, as few."""
        return FEW + self.base.name

    @property
    def modes(self) -> int:
        """As many as classes."""
        return self.base.classes

    @property
    def classes(self) -> int:
        """Of the images."""
        return self.base.classes

    @property
    def licence(self) -> str:
        """Of the images."""
        return self.base.licence

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"few"})

    @property
    def missing(self) -> str:
        return self.base.missing

    @property
    def fingerprint(self) -> str:
        """Empty where the images are missing."""
        if self.missing:
            return ""
        return hashlib.sha256(f"few|{self.labels}|{self.base.fingerprint}".encode()).hexdigest()

    def with_labels(self, labels: int) -> Few:
        """The same with another number of labels. Raises UsageError for one that can't be shared
        out evenly, or is more than there are.
        """
        found = replace(self, labels=labels)
        found.refuse()
        return found

    def refuse(self) -> None:
        """Raise UsageError where the labels can't be had."""
        if not self.missing and not self.classes:
            raise UsageError(
                f"dataset '{self.name}': expected images with classes, and these have none"
            )
        each, rest = divmod(self.labels, max(1, self.classes))
        if rest or not each:
            raise UsageError(
                f"labels={self.labels} of dataset '{self.name}': expected a multiple of its "
                f"{self.classes} classes, as many labels of each"
            )
        if self.missing:
            return
        known = torch.from_numpy(self.base.split.labels)
        fewest = int(torch.bincount(known, minlength=self.classes).min())
        if each > fewest:
            raise UsageError(
                f"labels={self.labels} of dataset '{self.name}': expected {self.classes * fewest} "
                f"at most, as many of each class: its rarest has {fewest} training images"
            )

    def source(self, seed: int, device: str = "cpu") -> FewSource:
        self.refuse()
        return FewSource(self, self.base.source(seed, device), seed)


class FewSource(Source):
    """The data of one seed: images float32 in [0, 1], [n, c, h, w], in the seed's order, which says
    who has a label: the first of each class.
    """

    box = (0.0, 1.0)

    def __init__(self, data: Few, every: LabelledSource, seed: int) -> None:
        self._every, self.device, self.shape = every, every.device, every.shape
        self.modes = self.classes = data.classes
        self._purpose = ("data", data.base.fingerprint, seed)
        self._each = data.labels // data.classes

    @property
    def training(self) -> Tensor:
        return self._every.training

    @cached_property
    def _chosen(self) -> Tensor:
        return chosen(self._every.training_labels, self._each, self.classes)

    @cached_property
    def _told(self) -> tuple[Tensor, Tensor]:
        at = self._chosen
        return self._every.training_bytes[at], self._every.training_labels[at]

    @property
    def told(self) -> tuple[Tensor, Tensor]:
        """The labelled images, and their classes."""
        images, labels = self._told
        return to_unit(images), labels

    @property
    def held_out(self) -> Tensor:
        """Images that nothing is trained on, in an order that is the same for every seed."""
        return self._every.held_out

    @property
    def held_out_labels(self) -> Tensor:
        """Of `held_out`."""
        return self._every.held_out_labels

    def batches(self) -> Batches:
        """Of all images, the labelled ones too, without their classes."""
        return self._every.batches()

    def labelled_batches(self) -> LabelledBatches:
        """Of the labelled images alone, in epochs of their own."""
        rng = stream(*self._purpose, "few", device=self.device)
        return LabelledEpochs(*self._told, rng, to_unit)

    def every_label(self) -> LabelledBatches:
        """Of all images with their classes: for a ceiling, which no model may read."""
        return self._every.labelled_batches()

    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        return self._every.fresh(n, rng, classes)

    @property
    def density(self) -> None:
        return None


def few(name: str, of: Callable[[str], Labelled]) -> Few:
    """The data set of a name that begins with few@. of: labelled images by name. Raises UsageError
    for a name of other data.
    """
    found = Few(of(name.removeprefix(FEW)))
    if not found.missing and not len(found.base.split.images):
        raise UsageError(f"dataset '{name}' has no images to train on: all of it is held out")
    return found


def _register(summary: str, name: str) -> None:
    entry = DATASETS[name]
    base: Any = entry.part
    data = Few(base)
    facts = {"modes": data.modes, "licence": data.licence, "large": entry.facts.large}
    DATASETS.register(data.name, paper=entry.paper, summary=summary, **facts)(data)


_register("mnist5k with 100 labels, or as many as are asked for", "mnist5k")
_register("optdigits with 100 labels, or as many as are asked for", "optdigits")
_register("MNIST with 100 labels (to be downloaded)", "mnist")
_register("Fashion-MNIST with 100 labels (to be downloaded)", "fashion")

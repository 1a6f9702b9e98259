"""Two domains of images: true pairs, or two sets that nothing pairs but a hidden truth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets.base import DATASETS, Batches, Dataset, LabelledBatches, Source
from bench.datasets.batches import Epochs, LabelledEpochs, ShuffledEpochs
from bench.datasets.labelled import as_tensor
from bench.datasets.pixels import to_unit
from bench.datasets.stacks import ESTIMATOR_VALUES


@dataclass(frozen=True, eq=False)
class Domains:
    """Images uint8 [n, h, w] or [n, h, w, 3] of two domains, to train on and held out. Those of
    held-out pairs stand at the same place in both.

    truth: whether the held-out images are pairs. classes: of the first domain's images to train on,
    int64 [n], from 0, where they are known. maps: the class of each of their pixels, int64
    [n, h, w], where they are known. names: of held-out images, where they have any.
    """

    first: np.ndarray
    second: np.ndarray
    held_first: np.ndarray
    held_second: np.ndarray
    truth: bool = True
    maps: np.ndarray | None = None
    names: tuple[str, ...] = ()
    classes: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Pairs(Dataset):
    """A named pair of domains, the first to be translated into the second.

    load: the images. paired: whether a model may see which belong together. absent: why they are
    not here, or empty. segmenter: the frozen network that reads the second domain's pixels.
    extractor: whose features scores rest on. palette: the colour of each class in the first
    domain, where it shows class maps. drawn: the images at any side, where they are drawings.
    """

    name: str
    load: Callable[[], Domains]
    paired: bool
    absent: Callable[[], str] = lambda: ""
    segmenter: str = ""
    extractor: str = "pixels"
    palette: tuple[tuple[int, ...], ...] = ()
    licence: str = ""
    drawn: Callable[[int], Domains] | None = None

    @property
    def missing(self) -> str:
        return self.absent()

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"domains"})

    @property
    def modes(self) -> int:
        """None are known."""
        return 0

    @property
    def fingerprint(self) -> str:
        """Empty where the images are missing."""
        return "" if self.missing else _fingerprint(self.paired, self.load())

    def source(self, seed: int, device: str = "cpu") -> PairSource:
        return PairSource(self, seed, device)


@cache
def _fingerprint(paired: bool, found: Domains) -> str:
    digest = hashlib.sha256(f"pairs|{paired}".encode())
    images = found.first, found.second, found.held_first, found.held_second
    for array in (*images, found.maps, found.classes):
        if array is not None:
            digest.update(f"|{array.shape}|".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Both(LabelledBatches):
    """Batches of both domains, float32 in [0, 1]: of pairs, or of each domain in its own order."""

    def __init__(self, first: Tensor, second: Tensor, orders: Sequence[Epochs]) -> None:
        self._first, self._second, self._orders = first, second, orders

    def next(self, n: int) -> tuple[Tensor, Tensor]:
        drawn = [order.draw(n) for order in self._orders]
        return to_unit(self._first[drawn[0]]), to_unit(self._second[drawn[-1]])

    def position(self) -> dict[str, Tensor]:
        return {
            f"{name} {index}": value
            for index, order in enumerate(self._orders)
            for name, value in order.position().items()
        }

    def seek(self, position: dict[str, Tensor]) -> None:
        for index, order in enumerate(self._orders):
            order.seek({name: position[f"{name} {index}"] for name in ("epoch", "at")})


class PairSource(Source):
    """The two domains of one seed. As a source of examples it is the second domain alone."""

    box = (0.0, 1.0)
    modes = classes = 0

    def __init__(self, data: Pairs, seed: int, device: str = "cpu") -> None:
        self._found, self.device, self.paired = data.load(), device, data.paired
        self.name, self.truth = data.name, self._found.truth
        self.first_shape, self.shape = (
            tuple(as_tensor(part[:1]).shape[1:])
            for part in (self._found.held_first, self._found.held_second)
        )
        classes = self._found.classes
        self.first_classes = 0 if classes is None else int(classes.max()) + 1
        self._purpose = ("data", data.fingerprint, seed)

    def _ordered(self, images: np.ndarray) -> Tensor:
        """In an order of the seed's, the same for as many images."""
        return as_tensor(images, self.device)[self._order(len(images))]

    def _order(self, n: int) -> Tensor:
        return torch.randperm(n, generator=stream(*self._purpose, "order")).to(self.device)

    @cached_property
    def first(self) -> Tensor:
        """Training images of the first domain, uint8 [n, c, h, w]."""
        return self._ordered(self._found.first)

    @cached_property
    def second(self) -> Tensor:
        """Training images of the second domain; of pairs, each at its partner's place."""
        return self._ordered(self._found.second)

    @cached_property
    def held_first(self) -> Tensor:
        """Held-out images of the first domain, float32 in [0, 1]."""
        return to_unit(as_tensor(self._found.held_first, self.device))

    @cached_property
    def held_second(self) -> Tensor:
        """Held-out images of the second domain; of pairs, each at its partner's place."""
        return to_unit(as_tensor(self._found.held_second, self.device))

    @property
    def training(self) -> Tensor:
        return to_unit(self.second[: ESTIMATOR_VALUES // self.second[:1].numel()])

    def batches(self) -> Batches:
        return ShuffledEpochs(self.second, self._rng("batches"), to_unit)

    def pairs(self) -> LabelledBatches:
        """Batches of pairs. Raises UsageError where nothing says what belongs together."""
        if not self.paired:
            raise UsageError(
                f"'{self.name}' is unpaired: nothing says which images belong together, and this "
                "model needs pairs: train cyclegan, or bring two folders with the same file names"
            )
        return Both(self.first, self.second, [Epochs(len(self.first), self._rng("batches"))])

    def domains(self) -> LabelledBatches:
        """Batches of each domain in an order of its own, whether there are pairs or not."""
        parts = (("first", self.first), ("second", self.second))
        orders = [Epochs(len(images), self._rng(name)) for name, images in parts]
        return Both(self.first, self.second, orders)

    def labelled_first(self) -> LabelledBatches:
        """Batches of the first domain with the class of each image. Raises UsageError where none is
        known.
        """
        classes = self._found.classes
        if classes is None:
            raise UsageError(
                f"'{self.name}' has no classes of its first domain: choose edges@digits, or "
                "another model"
            )
        labels = torch.from_numpy(classes).to(self.device)[self._order(len(classes))]
        return LabelledEpochs(self.first, labels, self._rng("labelled"), to_unit)

    def _rng(self, purpose: str) -> torch.Generator:
        return stream(*self._purpose, purpose, device=self.device)

    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        drawn = torch.randint(len(self.held_second), (n,), generator=rng, device=rng.device)
        return self.held_second[drawn.to(self.device)]

    @property
    def density(self) -> None:
        return None


def register(summary: str, data: Pairs, paper: str = "", large: bool = False) -> None:
    """Add a pair of domains to the data sets."""
    facts = {"licence": data.licence, "large": large}
    DATASETS.register(data.name, paper=paper, summary=summary, **facts)(data)

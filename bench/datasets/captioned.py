"""Images with a caption each, and combinations of attributes that no training caption has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import captions
from bench.datasets.base import DATASETS, Batches, Dataset, LabelledBatches, Source
from bench.datasets.batches import LabelledEpochs
from bench.datasets.captions import Attributes, combinations_of, every_combination, tokens_of
from bench.datasets.digits import CLASSES, Split, mnist5k
from bench.datasets.encoders import ENCODERS, CaptionEncoder
from bench.datasets.labelled import Labelled, LabelledSource
from bench.datasets.pixels import to_unit
from bench.datasets.stacks import MNIST_LICENCE
from metrics.strokes import slant, thickness

APART = 4
"""Between the two styles of a digit that no training caption has, in the order of styles."""


@dataclass(frozen=True, eq=False)
class Cuts:
    """Where the thirds of a digit's training images meet, [digits, 2] each."""

    thickness: Float[np.ndarray, "digits 2"]
    slant: Float[np.ndarray, "digits 2"]

    def read(self, images: np.ndarray, digits: Int[np.ndarray, " n"]) -> Attributes:
        """The attributes of images uint8 [n, h, w] that show these digits: a third of the digit's
        own training images, from the least to the most.
        """
        greys = images / 255
        measured = ((thickness(greys), self.thickness), (slant(greys), self.slant))
        thirds = [(value[:, None] >= cuts[digits]).sum(1) for value, cuts in measured]
        return np.stack([*thirds, digits], 1).astype(np.int64)


@cache
def cuts() -> Cuts:
    """Of all training digits of mnist5k."""
    split = mnist5k()
    greys = split.images / 255
    measured = (thickness(greys), slant(greys))
    thirds = [
        np.stack([np.quantile(value[split.labels == d], (1 / 3, 2 / 3)) for d in range(CLASSES)])
        for value in measured
    ]
    return Cuts(*thirds)


def unseen() -> Bool[np.ndarray, " combinations"]:
    """Which combinations no training caption has: two styles of each digit, every style of two or
    three digits.
    """
    attributes = every_combination()
    style, digit = np.arange(len(attributes)) % captions.STYLES, attributes[:, 2]
    return (style == digit % captions.STYLES) | (style == (digit + APART) % captions.STYLES)


@dataclass(frozen=True, eq=False)
class Captions:
    """Images with the number of their combination as their label. aside: of combinations that no
    training caption has, digits that could have been trained on.
    """

    split: Split
    aside: np.ndarray
    aside_labels: np.ndarray


@cache
def digits() -> Captions:
    """Those of mnist5k; held out are the same thousand, of every combination."""
    found, known = mnist5k(), cuts()
    labels, held = (
        combinations_of(known.read(images, classes))
        for images, classes in (
            (found.images, found.labels),
            (found.held_images, found.held_labels),
        )
    )
    out = unseen()[labels]
    split = Split(found.images[~out], labels[~out], found.held_images, held)
    return Captions(split, found.images[out], labels[out])


@dataclass(frozen=True, eq=False)
class Captioned(Dataset):
    """A named set of captioned images. judge: the frozen classifier of what they show; towers: the
    frozen networks that bring both into one space; encoder: what turns captions into the vectors
    that models are told, the towers themselves where it is empty.
    """

    name: str
    load: Callable[[], Captions]
    judge: str
    towers: str
    licence: str = ""
    encoder: str = ""

    @property
    def modes(self) -> int:
        """None: nothing counts them here."""
        return 0

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"captions"})

    @property
    def told(self) -> CaptionEncoder:
        """What turns captions into vectors. Raises UsageError for a name that stands for none."""
        return ENCODERS[self.encoder or self.towers].part

    @property
    def fingerprint(self) -> str:
        """Of images, captions, and the vectors that models are told."""
        return _fingerprint(self.load(), self.told.digest)

    def source(self, seed: int, device: str = "cpu") -> CaptionedSource:
        return CaptionedSource(self, seed, device)


@cache
def _fingerprint(found: Captions, told: str) -> str:
    digest = hashlib.sha256(f"captioned|{told}".encode())
    split = found.split
    images = (split.images, split.held_images, found.aside)
    for array in (*images, split.labels, split.held_labels, found.aside_labels):
        digest.update(f"|{array.shape}|".encode() + np.ascontiguousarray(array).tobytes())
    digest.update(tokens_of(every_combination()).tobytes())
    return digest.hexdigest()


@cache
def _labelled(data: Captioned) -> Labelled:
    """The same images, labelled with their combination."""
    return Labelled(data.name, lambda: data.load().split, captions.COMBINATIONS)


class CaptionedSource(Source):
    """The data of one seed: float32 in [0, 1], [n, 1, h, w], and captions int64 [n, words]."""

    box = (0.0, 1.0)
    modes = classes = 0
    kinds = CLASSES

    def __init__(self, data: Captioned, seed: int, device: str = "cpu") -> None:
        self.device, self._data = device, data
        self._examples = LabelledSource(_labelled(data), seed, device)
        self.shape = self._examples.shape
        self._purpose = ("data", data.fingerprint, seed)

    @property
    def training(self) -> Tensor:
        return self._examples.training

    @cached_property
    def prompts(self) -> Tensor:
        """Every caption that can be said, int64 [combinations, words]."""
        return torch.from_numpy(tokens_of(every_combination())).to(self.device)

    @cached_property
    def seen(self) -> Tensor:
        """Of each of them, whether a training image has it."""
        return torch.from_numpy(~unseen()).to(self.device)

    @cached_property
    def captions(self) -> Tensor:
        """Of the training images, in their order, int64 [n, words]."""
        return self.prompts[self._examples.training_labels]

    @property
    def held_out(self) -> Tensor:
        """Images that nothing is trained on, of every combination."""
        return self._examples.held_out

    @cached_property
    def held_captions(self) -> Tensor:
        """Of `held_out`."""
        return self.prompts[self._examples.held_out_labels]

    def encode(self, tokens: Tensor) -> Tensor:
        """Captions int64 [n, words] as the frozen encoder knows them, float32 [n, d]; over all
        captions their mean is 0 and their mean square 1.
        """
        return self._vectors[self.numbers(tokens)]

    @cached_property
    def _vectors(self) -> Tensor:
        found = self._data.told.vectors(self.prompts)
        centred = found - found.mean(0)
        return centred / centred.square().mean().sqrt()

    def numbers(self, tokens: Tensor) -> Tensor:
        """Of captions among `prompts`, int64 [n]. Raises UsageError for what is none of them."""
        equal = (tokens[:, None] == self.prompts[None]).all(2)
        if not bool(equal.any(1).all()):
            wrong = tokens[~equal.any(1)][0].tolist()
            raise UsageError(f"expected tokens of a caption of the data, got {wrong}")
        return equal.int().argmax(1)

    def batches(self) -> Batches:
        return self._examples.batches()

    def captioned_batches(self) -> LabelledBatches:
        """The same stream with the caption of each image."""
        batching = stream(*self._purpose, "captioned", device=self.device)
        images = self._examples.training_bytes
        return LabelledEpochs(images, self.captions, batching, to_unit)

    def asked(self, n: int, rng: torch.Generator) -> Tensor:
        """Captions as often as training images have them, int64 [n, words]."""
        chosen = torch.randint(len(self.captions), (n,), generator=rng, device=rng.device)
        return self.captions[chosen]

    def others(self, tokens: Tensor, rng: torch.Generator) -> Tensor:
        """For each caption a training image of another one, all such alike likely."""
        return self.others_told(tokens, rng)[0]

    def others_told(self, tokens: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The same, with the captions of those images."""
        labels = self._examples.training_labels
        order = labels.argsort(stable=True)
        counts = torch.bincount(labels, minlength=len(self.prompts))
        numbers = self.numbers(tokens)
        own, first = counts[numbers], (counts.cumsum(0) - counts)[numbers]
        unit = torch.rand(len(tokens), generator=rng, device=rng.device, dtype=torch.float64)
        drawn = (unit * (len(labels) - own)).long()
        chosen = order[drawn + own * (drawn >= first)]
        return to_unit(self._examples.training_bytes[chosen]), self.captions[chosen]

    def kind_of(self, tokens: Tensor) -> Tensor:
        """The digit that each caption says, int64 [n]."""
        return self.numbers(tokens) // captions.STYLES

    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        return self._examples.fresh(n, rng, classes)

    @cached_property
    def kin(self) -> dict[int, Tensor]:
        """Every image there is of a combination, trained on or not, by its number, uint8."""
        found = self._data.load()
        split = found.split
        images = np.concatenate([split.images, split.held_images, found.aside])
        labels = np.concatenate([split.labels, split.held_labels, found.aside_labels])
        return {
            int(c): torch.from_numpy(images[labels == c])[:, None].to(self.device)
            for c in np.unique(labels)
        }

    @property
    def density(self) -> None:
        return None


DATASETS.register(
    "captions@digits",
    summary="mnist5k's digits with captions: thickness, slant, digit; 20 combinations held out",
    licence=MNIST_LICENCE,
    judge="digits-cnn",
)(Captioned("captions@digits", digits, "digits-cnn", "captions-towers", MNIST_LICENCE))

"""Captioned images at half their size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from generative.conditioning import captioned
from generative.contracts import Batches, Captioned, Data, Density, LabelledBatches
from generative.games.coarsest import Small
from generative.networks import Shape
from generative.pyramids.box import halved


def half(shape: Shape) -> Shape:
    """Of images (channels, h, w), as the means of their 2 x 2 blocks."""
    return (shape[0], *(-(-side // 2) for side in shape[1:]))


class HalvedPairs:
    """Batches of images and captions, the images halved."""

    def __init__(self, own: LabelledBatches) -> None:
        self._own = own

    def next(self, n: int) -> tuple[Tensor, Tensor]:
        images, captions = self._own.next(n)
        return halved(images), captions

    def position(self) -> dict[str, Tensor]:
        return self._own.position()

    def seek(self, position: dict[str, Tensor]) -> None:
        self._own.seek(position)


class Halved:
    """The same data with images half as large; captions are as they were."""

    density: Density | None = None

    def __init__(self, own: Captioned) -> None:
        self._own, self.shape = own, half(own.shape)
        self.device, self.box = own.device, own.box
        self.modes, self.classes = own.modes, own.classes

    @property
    def training(self) -> Tensor:
        return self._training

    @cached_property
    def _training(self) -> Tensor:
        return halved(self._own.training)

    @property
    def held_out(self) -> Tensor:
        return self._held_out

    @cached_property
    def _held_out(self) -> Tensor:
        return halved(self._own.held_out)

    @property
    def prompts(self) -> Tensor:
        return self._own.prompts

    @property
    def captions(self) -> Tensor:
        return self._own.captions

    @property
    def held_captions(self) -> Tensor:
        return self._own.held_captions

    def encode(self, tokens: Tensor) -> Tensor:
        return self._own.encode(tokens)

    def numbers(self, tokens: Tensor) -> Tensor:
        return self._own.numbers(tokens)

    def batches(self) -> Batches:
        return Small(self._own.batches(), 1)

    def labelled_batches(self) -> LabelledBatches:
        return HalvedPairs(self._own.labelled_batches())

    def captioned_batches(self) -> LabelledBatches:
        return HalvedPairs(self._own.captioned_batches())

    def asked(self, n: int, rng: torch.Generator) -> Tensor:
        return self._own.asked(n, rng)

    def others(self, tokens: Tensor, rng: torch.Generator) -> Tensor:
        return halved(self._own.others(tokens, rng))

    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        return halved(self._own.fresh(n, rng, classes))


def half_of(data: Data) -> Captioned:
    """Captioned data at half their size. Raises UsageError for data without captions."""
    return Halved(captioned(data))

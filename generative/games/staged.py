"""The games of two stages: text to a small image, then small image and text to a large one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from generative.contracts import (
    CaptionDecoder,
    Captions,
    Codes,
    Data,
    LabelledBatches,
    Logits,
)
from generative.games.base import Players
from generative.games.matching import Matching
from generative.games.turns import CRITIC, GENERATOR
from generative.games.wrapped import Wrapped
from generative.halving import half_of
from generative.networks import Shape
from generative.pyramids.box import doubled, halved
from generative.samplers import load
from generative.staging import Staged

FIRST = "first."
"""Before the names of the first stage's tensors in a model of both."""


class Enlarged(CaptionDecoder):
    """The first stage alone: its images with each pixel as a block, and its critic of halved ones.
    network: codes and vectors to its images as they are; shape: of the large ones.
    """

    def __init__(self, own: CaptionDecoder, network: nn.Module, shape: Shape) -> None:
        self.own, self.network, self.prior = own, network, own.prior
        self._size = shape[1:]

    def sample(self, n: int, rng: torch.Generator, captions: Captions | None = None) -> Tensor:
        return doubled(self.own.sample(n, rng, captions), self._size)

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self.own.codes(n, rng)

    def decode(self, z: Codes, captions: Captions | None = None) -> Tensor:
        return doubled(self.own.decode(z, captions), self._size)

    def between(self, z: Codes, first: Captions, second: Captions, share: Tensor) -> Tensor:
        return doubled(self.own.between(z, first, second, share), self._size)

    def matching(self, x: Tensor, captions: Captions) -> Logits:
        return self.own.matching(halved(x), captions)

    def tensors(self) -> dict[str, Tensor]:
        return self.own.tensors()


class TwoStages(CaptionDecoder):
    """Both stages: codes begin with the `latent` numbers of the first one's, the critic is the
    second one's.
    """

    def __init__(self, first: Enlarged, own: CaptionDecoder, latent: int) -> None:
        self.first, self.own, self.prior = first, own, own.prior
        self._latent = latent

    def at(self, stage: int, z: Codes, captions: Captions | None = None) -> Tensor:
        """What the first stage draws of codes at its own size (0), or both (1)."""
        if stage:
            return self.decode(z, captions)
        return self.first.own.decode(z[:, : self._latent], captions)

    def sample(self, n: int, rng: torch.Generator, captions: Captions | None = None) -> Tensor:
        return self.own.sample(n, rng, captions)

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self.own.codes(n, rng)

    def decode(self, z: Codes, captions: Captions | None = None) -> Tensor:
        return self.own.decode(z, captions)

    def between(self, z: Codes, first: Captions, second: Captions, share: Tensor) -> Tensor:
        return self.own.between(z, first, second, share)

    def matching(self, x: Tensor, captions: Captions) -> Logits:
        return self.own.matching(x, captions)

    def tensors(self) -> dict[str, Tensor]:
        below = {FIRST + name: value for name, value in self.first.tensors().items()}
        return {**below, **self.own.tensors()}


@dataclass(frozen=True)
class FirstStage(Wrapped):
    """A game of captions on images of half the size. shape: of the whole ones."""

    own: Matching
    shape: Shape

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self.own.players(half_of(data), rng)

    def batches(self, data: Data) -> LabelledBatches:
        return half_of(data).captioned_batches()

    def fitted(self, players: Players, data: Data) -> Enlarged:
        own = self.own.fitted(players, half_of(data))
        assert isinstance(own, CaptionDecoder)
        return Enlarged(own, players[GENERATOR].eval(), self.shape)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Enlarged:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)


@dataclass(frozen=True)
class SecondStage(Wrapped):
    """A game of captions whose generator begins with what the finished first stage draws of the
    same caption, and never with a true small image; its critic sees the large one (Zhang et al.
    2017, section 3.4). below: the first stage, None until it is trained; nothing moves its weights,
    its batch norms are as in the finished model.
    """

    own: Matching
    first: FirstStage
    below: Enlarged | None = None

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        return self._on(self.below).players(data, rng)

    def _on(self, below: Enlarged | None) -> Matching:
        """The game on a first stage's generator: a copy, so that what is asked of the model changes
        nothing here.
        """
        told = self.own.own.conditioning
        assert isinstance(told, Staged)
        assert told.onto is not None
        assert below is not None
        frozen = copy.deepcopy(below.network).eval().requires_grad_(False)
        onto = replace(told.onto, below=frozen)
        return replace(self.own, own=replace(self.own.own, conditioning=replace(told, onto=onto)))

    def batches(self, data: Data) -> LabelledBatches:
        found = self.own.batches(data)
        assert isinstance(found, LabelledBatches)
        return found

    def fitted(self, players: Players, data: Data) -> TwoStages:
        own = self.own.fitted(players, data)
        assert isinstance(own, CaptionDecoder)
        assert self.below is not None
        return TwoStages(self.below, own, self.first.protocol.latent)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> TwoStages:
        below = {k.removeprefix(FIRST): v for k, v in tensors.items() if k.startswith(FIRST)}
        rest = {name: value for name, value in tensors.items() if not name.startswith(FIRST)}
        first = self.first.restored(data, below)
        own = self._on(first).restored(data, rest)
        assert isinstance(own, CaptionDecoder)
        return TwoStages(first, own, self.first.protocol.latent)

"""CoGAN: a GAN of each domain, with layers that are the same for both (Liu & Tuzel 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch

from generative.contracts import RECIPES
from generative.coupling import Critics, Generators
from generative.games.coupled import Coupled
from generative.networks import Dcgan, Network
from generative.protocols.translation import TranslationProtocol
from generative.recipes.translating import Translating
from generative.training import Bounds

LAYERS = Dcgan(32, layers=None)
"""Of 32 x 32 pixels: a dense layer and three convolutions, and the other way round."""


@dataclass(frozen=True)
class Couple:
    """unshared: how many layers next to the images either domain has to itself, in the generators
    and in the critics; as many as there are for two GANs that share none. code_size: numbers of a
    code.
    """

    unshared: Annotated[int, Bounds(1, 20)] = 1
    code_size: Annotated[int, Bounds(1, 10_000)] = 64


@dataclass(frozen=True)
class Coupling(Translating):
    """layers: of either generator, and of either critic. Deviations: convolutions of stride 2 for
    pooling, batch norm in the critics, leaky ReLU and ReLU for learned slopes, codes of 64 numbers
    for 100; a code is searched for by Adam, by distances of coarse images.
    """

    layers: Network

    def weights(self) -> tuple[str, ...]:
        return ()

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().parts(settings), "couple": Couple()}

    def game(
        self, rules: TranslationProtocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> Coupled:
        couple = parts["couple"]
        with torch.device("meta"):
            Generators(self.layers, 1, (shape, shape), couple.unshared)
            Critics(self.layers, (shape, shape), couple.unshared)
        own = self.layers, self.layers, couple.code_size, couple.unshared
        return Coupled(parts["loss"], *own, rules, shape)


RECIPES.register(
    "cogan",
    paper="arXiv:1606.07536",
    summary="CoGAN: two GANs that share layers; translates by a search for codes (Liu & Tuzel "
    "2016)",
    translates=True,
    parts=("nonsaturating",),
    exempt=(
        "noise-is-what-changes-a-translation: its search starts at codes that are drawn",
        "instance-norm-looks-at-the-image-itself: its own layers have batch norm, as DCGAN's",
    ),
)(Coupling("small-cogan", "nonsaturating", LAYERS))

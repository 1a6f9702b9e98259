"""Deep autoencoders of logistic units: from a random start, and from restricted Boltzmann machines.

Hinton & Salakhutdinov 2006 (doi:10.1126/science.1127647): layers are learned one by one, each as a
machine whose data are the hidden probabilities of the one below, then unrolled and trained as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generative.boltzmann import Layer, Units, contrast
from generative.contracts import RECIPES
from generative.games.base import Summand
from generative.games.layerwise import Lesson
from generative.protocols.base import Momentum, Optimiser, Protocol
from generative.recipes.autoencoder import CrossEntropy
from generative.recipes.encoding import Encoding
from generative.training import STEPS, Bounds

PAPER, OWN = "doi:10.1126/science.1127647", "hinton-2006"


@dataclass(frozen=True)
class Contrastive(Lesson):
    """Contrastive divergence, with `weight_cost` times half the squared weights.

    cd_steps: of the chain that makes a reconstruction. layer_steps: of the learning of a layer.
    Rate .1, of a linear code .001; the momentum goes from .5 to .9 over the first half, where the
    authors' code has a jump after half of its 10 epochs. sampled: whether visible units are drawn,
    too.
    """

    cd_steps: Annotated[int, Bounds(1, 10_000)] = 1
    layer_steps: Annotated[int, STEPS] = 400
    weight_cost: float = 2e-4
    sampled: bool = False
    spread: float = 0.1

    @property
    def decay(self) -> float:
        return 0.0

    def optimiser(self, protocol: Protocol, above: Units, steps: int) -> Optimiser:
        rate = 0.001 if above == "linear" else 0.1
        return Momentum(rate, 0.5, 0.9, max(1, steps // 2))

    def summands(self, layer: Layer, v: Tensor, rng: torch.Generator) -> list[Summand]:
        learned = Summand(contrast(layer, v, self.cd_steps, self.sampled, rng))
        return [learned, Summand(layer.weight.square().sum() / 2, self.weight_cost)]


for _name, _lesson, _words in (
    ("deep-autoencoder", None, "from a random start"),
    ("deep-autoencoder-rbm", Contrastive(), "pretrained by restricted Boltzmann machines"),
):
    RECIPES.register(
        _name,
        paper=PAPER,
        summary=f"Deep autoencoder of logistic units, {_words} (Hinton & Salakhutdinov 2006)",
        role="baseline",
        encodes=True,
        images_only="its pixels are probabilities",
        exempt="codes-are-draws-of-the-prior: they have the moments of encoded examples",
    )(Encoding(CrossEntropy(), instead=OWN, lesson=_lesson))

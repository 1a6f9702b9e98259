"""Stacked autoencoders, plain and denoising: layers of features, each learned on those below.

Vincent et al. 2008 (doi:10.1145/1390156.1390294): a layer is to make its input of a corrupted copy;
the layers above see its output for inputs that are whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from bench.core.registry import Entry
from generative.boltzmann import Layer, Units
from generative.contracts import RECIPES, Autoencoder, Fitted, Sampler
from generative.games.base import Summand
from generative.games.encoding import CodedSampler, Coder
from generative.games.layerwise import Layerwise, Lesson, Plan, leaves
from generative.networks import Initialisation
from generative.protocols.base import PROTOCOLS, Adam, Optimiser, Protocol, protocol_of
from generative.recipes.autoencoder import Plain, cross_entropy, masked
from generative.recipes.encoding import hidden_of, mirrored
from generative.recipes.playing import Playing
from generative.trainers.succession import Succession
from generative.training import SHARE, STEPS, Training

OWN = "vincent-2008"


class Layered(Autoencoder):
    """An autoencoder whose hidden layers can be had."""

    def __init__(self, own: CodedSampler, encoder: nn.Module) -> None:
        self._own, self._encoder = own, encoder

    def layers(self, x: Tensor) -> list[Tensor]:
        """What each layer makes of examples [n, ...], [n, units] each, the lowest first."""
        found = []
        with torch.no_grad():
            for leaf in leaves(self._encoder):
                x = leaf(x)
                if isinstance(leaf, nn.Sigmoid):
                    found.append(x)
        return found

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self._own.sample(n, rng)

    def codes(self, n: int, rng: torch.Generator) -> Tensor:
        return self._own.codes(n, rng)

    def encode(self, x: Tensor) -> Tensor:
        return self._own.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        return self._own.decode(z)

    def tensors(self) -> dict[str, Tensor]:
        return self._own.tensors()


class Features(Plain):
    """What the layers are in the end; nothing trains them together."""

    def loss(self, coder: Coder, x: Tensor, rng: torch.Generator, progress: float) -> Tensor:
        return cross_entropy(coder.decoder(coder.encoder(x)), x)

    def fitted(self, coder: Coder, box: tuple[float, float] | None) -> Sampler:
        return Layered(CodedSampler(coder, self), coder.encoder)


@dataclass(frozen=True)
class Denoising(Lesson):
    """The cross-entropy of a layer's input and of what its tied weights make of a copy in which
    each value is 0 with probability `masking`. layer_steps: of the learning of a layer.

    Deviation: Adam at the protocol's rate, which falls to 0 over the second half, for stochastic
    gradient descent.
    """

    masking: Annotated[float, SHARE] = 0.25
    layer_steps: Annotated[int, STEPS] = 1_600
    spread: float = 0.0

    @property
    def decay(self) -> float:
        return 0.5

    def optimiser(self, protocol: Protocol, above: Units, steps: int) -> Optimiser:
        return protocol.generator_adam

    def summands(self, layer: Layer, v: Tensor, rng: torch.Generator) -> list[Summand]:
        made = layer.down(layer.up(masked(v, self.masking, rng)))
        return [Summand(cross_entropy(made, v))]


@dataclass(frozen=True)
class Stacking(Playing):
    """Layers one after another, as wide as those of the protocol's encoder; under a protocol of
    other layers, as vincent-2008 has it.
    """

    lesson: Denoising

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        entry = protocol_of(training)
        return entry if mirrored(entry.part) else PROTOCOLS[OWN]

    def rules(self, training: Training) -> Protocol:
        protocol = replace(self.entry(training).part, initialisation=Initialisation())
        adam = protocol.generator_adam
        known = replace(protocol, generator_adam=adam if isinstance(adam, Adam) else Adam(1e-3))
        told = known.told({k: v for k, v in training.settings.items() if k != "steps"})
        each = training.settings.get("layer_steps", self.lesson.layer_steps)
        return replace(told, steps=each * len(hidden_of(told)))

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return "batch", "generator_lr", "latent"

    def parts(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"lesson": self.lesson}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Succession:
        plan, lesson = Plan(hidden_of(rules), "logistic"), parts["lesson"]
        own, count = replace(rules, steps=lesson.layer_steps), len(plan.hidden)

        def learn(at: int, done: Sequence[Fitted]) -> Layerwise:
            below: Any = done[-1] if done else None
            return Layerwise(plan, at, lesson, Features(), own, shape, below)

        stages = tuple(partial(learn, at) for at in range(count))
        return Succession(stages, (lesson.layer_steps,) * count, learn(count - 1, ()))

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return 1.0


for _name, _masking, _words in (
    ("stacked-autoencoder", 0.0, "Stacked autoencoders of 500 logistic units a layer"),
    (
        "stacked-denoising-autoencoder",
        0.25,
        "The same, a quarter of each layer's input set to 0 (Vincent et al. 2008)",
    ),
):
    RECIPES.register(
        _name,
        paper="doi:10.1145/1390156.1390294",
        summary=_words,
        role="baseline",
        encodes=True,
        images_only="its pixels are probabilities",
        exempt="codes-are-draws-of-the-prior: they have the moments of encoded examples",
    )(Stacking(Denoising(_masking)))

"""The conditional variational autoencoder: the VAE whose halves are told the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generative.contracts import RECIPES
from generative.games.encoding import Objective
from generative.games.labelled import LabelledEncoding, refuse_layers
from generative.protocols.base import Protocol
from generative.recipes.beside import Beside
from generative.recipes.encoding import Encoding
from generative.recipes.vae import Elbo


@dataclass(frozen=True)
class LabelledVae(Beside[Encoding]):
    """plain: what is trained, and how, without labels."""

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        return self.plain.objective

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return self.plain.parts(settings)

    def game(
        self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> LabelledEncoding:
        refuse_layers(rules.critic, rules.generator, shape, rules.latent)
        return LabelledEncoding(parts["objective"], rules, shape)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return self.plain.effort(rules, usual, parts)


RECIPES.register(
    "cvae",
    paper="arXiv:1406.5298",
    summary="Conditional VAE, told the class at both ends, samples without noise (Kingma et al. "
    "2014)",
    role="baseline",
    labelled=True,
    edits=True,
    images_only="its classes are those of images",
)(LabelledVae(Encoding(Elbo(noisy=False))))

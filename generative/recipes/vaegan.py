"""VAE-GAN (Larsen et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from generative.contracts import LOSSES, RECIPES
from generative.games.adversarial import Adversarial
from generative.games.likeness import Likeness
from generative.inference import Inference
from generative.networks import Shape
from generative.protocols.base import Protocol
from generative.recipes.own import Own
from generative.training import SHARE, WEIGHT

COST = 2.6
"""A step over one of the protocol's GANs, about."""
ON_POINTS = {"divergence_weight": 10.0, "feature_weight": 0.01}
"""By a pilot (docs/encoders.md)."""


@dataclass(frozen=True)
class Alike:
    """divergence_weight: of the encoder's divergence from the prior. feature_weight: of the
    distance in the critic's features, to the generator. rebuilt_share: of fakes that are decoded of
    inferred codes.
    """

    divergence_weight: Annotated[float, WEIGHT] = 1.0
    feature_weight: Annotated[float, WEIGHT] = 1.0
    rebuilt_share: Annotated[float, SHARE] = 0.5


def likeness(protocol: Protocol, shape: Shape, parts: Mapping[str, Any]) -> Likeness:
    """The game of a loss by name and of what counts as alike. The prior is N(0, I), of which alone
    the divergence has this form, whatever the protocol's is.
    """
    rules = replace(protocol, critic=protocol.critic.unmixed(), prior="normal")
    gan = Adversarial(LOSSES[parts["loss"]].part(), False, rules, shape)
    alike = parts["alike"]
    weights = alike.divergence_weight, alike.feature_weight, alike.rebuilt_share
    return Likeness(gan, Inference(spread=True), *weights)


RECIPES.register(
    "vae-gan",
    paper="arXiv:1512.09300",
    summary="VAE-GAN: a variational autoencoder of a critic's features (Larsen et al. 2016)",
    parts=("nonsaturating",),
    encodes=True,
)(Own(likeness, {"loss": "nonsaturating", "alike": Alike()}, COST, on_points=ON_POINTS))

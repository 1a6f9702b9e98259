"""Encoders beside a generator: ALI, BiGAN, VEEGAN, and a GAN with an encoder that undoes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from generative.contracts import LOSSES, RECIPES
from generative.games import adversarial
from generative.games.joint import Joint
from generative.games.regressing import Regressing
from generative.inference import Inference
from generative.networks import Shape
from generative.protocols.base import Protocol
from generative.recipes.own import Own
from generative.training import WEIGHT

JOINT_COST, REGRESSING_COST = 1.6, 1.5
"""A step over one of the protocol's GANs, about."""


@dataclass(frozen=True)
class Codes:
    """What codes of samples cost that are not inferred again."""

    code_weight: Annotated[float, WEIGHT] = 1.0


def joint(protocol: Protocol, shape: Shape, parts: Mapping[str, Any]) -> Joint:
    """The game of parts: a loss by name, what the encoder says, and what codes cost."""
    codes = parts.get("codes", Codes(0.0))
    loss = LOSSES[parts["loss"]].part()
    return Joint(loss, parts["inference"], codes.code_weight, protocol, shape)


def regressing(protocol: Protocol, shape: Shape, parts: Mapping[str, Any]) -> Regressing:
    """Of a GAN of the loss."""
    gan = adversarial.Adversarial(LOSSES[parts["loss"]].part(), False, protocol, shape)
    return Regressing(gan, parts["inference"])


PLAIN, SPREAD = Inference(spread=False), Inference(spread=True)

RECIPES.register(
    "ali",
    paper="arXiv:1606.00704",
    summary="Adversarially learned inference: pairs with drawn codes (Dumoulin et al. 2017)",
    parts=("nonsaturating",),
    encodes=True,
)(Own(joint, {"loss": "nonsaturating", "inference": SPREAD}, JOINT_COST))

RECIPES.register(
    "bigan",
    paper="arXiv:1605.09782",
    summary="BiGAN: the same with an encoder that draws nothing (Donahue et al. 2017)",
    parts=("nonsaturating",),
    encodes=True,
)(Own(joint, {"loss": "nonsaturating", "inference": PLAIN}, JOINT_COST))

RECIPES.register(
    "veegan",
    paper="arXiv:1705.07761",
    summary="VEEGAN: log ratios of pairs, and codes that are inferred again (Srivastava et al. "
    "2017)",
    parts=("log-ratio",),
    encodes=True,
)(Own(joint, {"loss": "log-ratio", "inference": PLAIN, "codes": Codes()}, JOINT_COST))

RECIPES.register(
    "latent-regressor",
    paper="arXiv:1605.09782",
    summary="A non-saturating GAN, and an encoder that undoes it: the control of Donahue et al. "
    "2017",
    role="baseline",
    parts=("nonsaturating",),
    encodes=True,
)(Own(regressing, {"loss": "nonsaturating", "inference": PLAIN}, REGRESSING_COST))

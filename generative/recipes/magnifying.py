"""Recipes of super-resolution: SRGAN, AffGAN, each without its critic, and fixed rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from generative.contracts import RECIPES, Data, Magnifier, Recipe, Trainer
from generative.games.base import Game
from generative.games.magnifying import Balance, Magnified
from generative.magnifying import Interpolation, Magnifying, Upscaler, refuse
from generative.protocols.base import Protocol
from generative.recipes.restoring import Restoring
from generative.trainers.fit import FitTrainer
from generative.training import Training, told

TASK = "super-resolution"
ALONE = Balance(adversarial_weight=0.0)
"""Of a network that nobody contests."""
COSTS = (1.8, 2.7)
"""Upscalers are wider than small-dcgan's generators."""


def magnified(protocol: Protocol, shape: tuple[int, ...], parts: Mapping[str, Any]) -> Game:
    """The game of these parts. Raises UsageError for images that the factor does not divide."""
    upscaler = parts["upscaler"]
    refuse(shape, upscaler.factor)
    balance, view = parts.get("balance", ALONE), parts.get("view")
    return Magnified(parts.get("loss"), upscaler, balance, view, protocol, shape)


class InterpolatingTrainer(FitTrainer):
    """Nothing is trained."""

    def __init__(self, kind: str, factor: int) -> None:
        self.kind, self.factor = kind, factor

    def fit(self, data: Data, seed: int) -> Magnifier:
        return Magnifying(Interpolation(self.kind, self.factor), self.factor, data)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Magnifier:
        return self.fit(data, 0)


@dataclass(frozen=True)
class Interpolating(Recipe):
    """A rule that repeats or interpolates pixels, by its name. It has the factor alone."""

    kind: str

    def relevant(self, training: Training) -> dict[str, Any]:
        factor = told(Upscaler(), training.settings).factor
        return {"factor": factor}

    def modules(self, training: Training) -> tuple[str, ...]:
        return (Magnifying.__module__,)

    def trainer(self, training: Training, shape: tuple[int, ...]) -> Trainer:
        factor = self.relevant(training)["factor"]
        refuse(shape, factor)
        return InterpolatingTrainer(self.kind, factor)

    def seconds(self, training: Training) -> float:
        return 0.1


_PLAIN = {"restores": TASK, "images_only": "points have no coarse version"}
_SRGAN, _AFFGAN = {"paper": "arXiv:1609.04802", **_PLAIN}, {"paper": "arXiv:1610.04490", **_PLAIN}

RECIPES.register(
    "srresnet",
    summary="SRResNet: fine images by their squared error alone (Ledig et al. 2017)",
    role="baseline",
    **_SRGAN,
)(Restoring(magnified, {"upscaler": Upscaler()}, costs=COSTS))

RECIPES.register(
    "srgan",
    summary="SRGAN: the same, and a critic of fine images (Ledig et al. 2017, SRGAN-MSE)",
    parts=("nonsaturating",),
    **_SRGAN,
)(
    Restoring(
        magnified, {"upscaler": Upscaler(), "balance": Balance()}, "nonsaturating", costs=COSTS
    )
)

RECIPES.register(
    "affmse",
    summary="Fine images by their squared error, projected onto what is consistent",
    role="baseline",
    **_AFFGAN,
)(Restoring(magnified, {"upscaler": Upscaler(affine=True)}, costs=COSTS))

RECIPES.register(
    "affgan",
    summary="AffGAN: projected likewise, and led by its critic alone (Sonderby et al. 2017)",
    parts=("log-ratio", "instance-noise"),
    **_AFFGAN,
)(
    Restoring(
        magnified,
        {"upscaler": Upscaler(affine=True), "balance": Balance(0.0, 1.0)},
        "log-ratio",
        "instance-noise",
        COSTS,
    )
)

RECIPES.register(
    "nearest-pixels",
    summary="Each coarse pixel repeated: the smallest fine image that is consistent",
    role="floor",
    **_PLAIN,
)(Interpolating("nearest"))

RECIPES.register(
    "bicubic", summary="Coarse images by bicubic interpolation", role="floor", **_PLAIN
)(Interpolating("bicubic"))

"""A CNN that sees each pixel as a thermometer: a defence by steps that no gradient passes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attacks.classifiers.cnn import SCHEDULE, Cnn
from attacks.classifiers.contracts import CLASSIFIERS, Shape
from attacks.classifiers.fitting import Fitted


class Thermometer(nn.Module):
    """Images [n, c, h, w] in [0, 1] to [n, c * levels, h, w]: 1 for each of the levels k / levels,
    k = 0 ... levels - 1, that a pixel exceeds, 0 for the others (Buckman et al. 2018, "Thermometer
    encoding: one hot way to resist adversarial examples", ICLR).
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, images: Tensor) -> Tensor:
        at = torch.arange(self.levels, device=images.device) / self.levels
        return (images[:, :, None] > at[:, None, None]).to(images.dtype).flatten(1, 2)


@dataclass(frozen=True)
class Encoded:
    """The small CNN on a thermometer's channels."""

    levels: int = 15

    def __call__(self, shape: Shape, classes: int) -> nn.Module:
        seen = (self.levels * shape[0], *shape[1:])
        return nn.Sequential(Thermometer(self.levels), Cnn()(seen, classes))


CLASSIFIERS.register(
    "cnn@thermometer",
    summary="The small CNN on pixels encoded as thermometers of 15 levels",
)(Fitted(Encoded(), SCHEDULE, milliseconds=20.0))

"""A CNN that sees images at a random size and place: a defence by answers that change."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from attacks.classifiers.cnn import SCHEDULE, Cnn
from attacks.classifiers.contracts import CLASSIFIERS, Shape
from attacks.classifiers.fitting import Fitted


class Resized(nn.Module):
    """The member, asked of images [n, c, h, w] at a random size, the share `least` of theirs at
    least, and at a random place on black; drawn from torch's global generator, one size and place
    for all of a batch.
    """

    def __init__(self, member: nn.Module, least: float) -> None:
        super().__init__()
        self.member, self.least = member, least

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        share = float(torch.empty(()).uniform_(self.least, 1.0))
        rows, columns = (max(1, round(share * side)) for side in (height, width))
        top = int(torch.randint(0, height - rows + 1, ()))
        left = int(torch.randint(0, width - columns + 1, ()))
        small = interpolate(images, size=(rows, columns), mode="nearest")
        return self.member(pad(small, (left, width - columns - left, top, height - rows - top)))


@dataclass(frozen=True)
class RandomResizing:
    """Xie et al. 2018, arXiv:1711.01991: resizing and padding at random, at every answer. `least`:
    of the side, at least. Deviations: theirs enlarge 299 pixels to 299 to 331, here images shrink,
    so that the network reads their own size; and theirs stand before a network that was trained
    without, while this one, which would lose a seventh of the digits to a shift, is trained with.
    """

    network: Cnn = field(default_factory=Cnn)
    least: float = 0.9

    def __call__(self, shape: Shape, classes: int) -> nn.Module:
        return Resized(self.network(shape, classes), self.least)


CLASSIFIERS.register(
    "cnn@resizing",
    paper="arXiv:1711.01991",
    summary="The small CNN on images resized and placed at random",
)(Fitted(RandomResizing(), SCHEDULE, milliseconds=10.0))

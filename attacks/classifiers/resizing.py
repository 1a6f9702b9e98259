"""A CNN that sees images at a random size and place: a defence by answers that change."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from attacks.classifiers.contracts import CLASSIFIERS, Decoder, Defended, Shape


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
class RandomResizing(Defended):
    """Xie et al. 2018, arXiv:1711.01991: resizing and padding at random before a network that was
    trained without. Deviation: theirs enlarge 299 pixels to 299 to 331; here images shrink to
    `least` of their side at least, so that the member reads its own size.
    """

    member: str = "cnn"
    least: float = 0.9

    def build(self, member: nn.Module, decoder: Decoder | None, shape: Shape) -> nn.Module:
        return Resized(member, self.least)

    def train(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        network.eval()

    def settings(self) -> dict[str, object]:
        return {"recipe": repr(self)}

    def seconds(self, examples: int) -> float:
        return 0.0


CLASSIFIERS.register(
    "cnn@resizing",
    paper="arXiv:1711.01991",
    summary="The small CNN on images resized and placed at random",
)(RandomResizing())

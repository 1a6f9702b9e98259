"""A CNN whose activation keeps the largest units: a defence by gradients that lead nowhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attacks.classifiers.contracts import CLASSIFIERS, Shape
from attacks.classifiers.fitting import Fitted, Schedule


class Winners(nn.Module):
    """Of a layer's units [n, ...] each image's largest, the share `kept`, rounded down but 1 at
    least; the others are 0 (Xiao et al. 2020, arXiv:1905.10510, equation 2).
    """

    def __init__(self, kept: float) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        least = flat.topk(max(1, int(self.kept * flat.shape[1])), dim=1).values[:, -1:]
        return torch.where(flat >= least, flat, 0.0).reshape(x.shape)


@dataclass(frozen=True)
class Winning:
    """Two convolutions of stride 2 and a hidden layer, each followed by `Winners`."""

    widths: tuple[int, int] = (16, 32)
    hidden: int = 100
    kept: float = 0.1

    def __call__(self, shape: Shape, classes: int) -> nn.Module:
        first, second = self.widths
        features = nn.Sequential(
            nn.Conv2d(shape[0], first, 4, stride=2, padding=1),
            Winners(self.kept),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            Winners(self.kept),
            nn.Flatten(),
        )
        with torch.no_grad():
            flat = features(torch.zeros(1, *shape)).shape[1]
        hidden = (nn.Linear(flat, self.hidden), Winners(self.kept))
        return nn.Sequential(*features, *hidden, nn.Linear(self.hidden, classes))


CLASSIFIERS.register(
    "cnn@k-winners",
    paper="arXiv:1905.10510",
    summary="The small CNN with k winners for ReLU, a tenth of each layer's units",
)(Fitted(Winning(), Schedule(epochs=20, lr=2e-3), milliseconds=25.0))

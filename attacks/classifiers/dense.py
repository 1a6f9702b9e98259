"""The dense classifiers of Szegedy et al. 2013 (section 4.2) and softmax regression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from attacks.classifiers.contracts import CLASSIFIERS, Classifier, Shape
from attacks.classifiers.fitting import PLAIN, Converged, Fitted, Objective, Schedule, fit

SZEGEDY = "arXiv:1312.6199"


@dataclass(frozen=True)
class Dense:
    """Layers of sigmoid units on flattened images, then a linear one: none of the first where
    `widths` is empty.
    """

    widths: tuple[int, ...] = ()

    def __call__(self, shape: Shape, classes: int) -> nn.Module:
        sizes = (math.prod(shape), *self.widths)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.Sigmoid()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


@dataclass(frozen=True)
class Reconstruction(Objective):
    """Squared error of a sigmoid autoencoder, and what keeps its mean activity near `activity`."""

    activity: float
    sparsity: float

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        encoder, decoder = network.children()
        code = torch.sigmoid(encoder(images))
        error = mse_loss(torch.sigmoid(decoder(code)), images, reduction="none").sum(1).mean()
        mean, rho = code.mean(0).clamp(1e-4, 1 - 1e-4), self.activity
        on, off = rho * (rho / mean).log(), (1 - rho) * ((1 - rho) / (1 - mean)).log()
        return error + self.sparsity * (on + off).sum()


FEATURES = Schedule(epochs=30)
ON_FEATURES = Schedule(epochs=60, lr=1e-2, decay=(1e-6,))


@dataclass(frozen=True)
class OnFeatures(Classifier):
    """AE400-10: a softmax classifier on the sigmoid code of a sparse autoencoder.

    The paper gives no more than "a single layer sparse autoencoder (sigmoid activation) with 400
    nodes" and the decay of the classifier. Here: squared error, tied to nothing, and a penalty
    that draws the mean activity of each unit to `activity` (Kullback-Leibler, weight `sparsity`).
    """

    units: int = 400
    activity: float = 0.1
    sparsity: float = 0.003
    features: Schedule = FEATURES
    schedule: Schedule = ON_FEATURES

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return Dense((self.units,))(shape, classes)

    def train(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        _, encoder, activation, head = network.children()
        flat = images.flatten(1)
        decoder = nn.Linear(self.units, flat.shape[1]).to(flat.device)
        autoencoder = nn.ModuleList([encoder, decoder])
        fit(autoencoder, flat, labels, self.features, Reconstruction(self.activity, self.sparsity))
        with torch.no_grad():
            code = activation(encoder(flat))
        fit(head, code, labels, self.schedule, PLAIN)
        network.eval()

    def settings(self) -> dict[str, object]:
        return {"recipe": repr(self)}

    def seconds(self, examples: int) -> float:
        return examples / 100 * (self.features.epochs * 4 + self.schedule.epochs) / 1000


def _register(
    name: str, summary: str, widths: tuple[int, ...], decay: tuple[float, ...], half: int = 0
) -> None:
    part = Converged(Dense(widths), decay, half=half, milliseconds=0.2 + sum(widths) / 400)
    CLASSIFIERS.register(name, paper=SZEGEDY, summary=summary)(part)


_register("fc10-1e-4", "FC10(10^-4), softmax regression", (), (1e-4,))
_register("fc10-1e-2", "FC10(10^-2), more weight decay", (), (1e-2,))
_register("fc10-1", "FC10(1), much weight decay", (), (1.0,))

HIDDEN = (1e-5, 1e-5, 1e-6)

_register("fc100-100-10", "Two layers of 100 sigmoid units", (100, 100), HIDDEN)
_register("fc123-456-10", "Sigmoid layers of 123 and 456 units", (123, 456), HIDDEN)
_register("fc200-200-10", "Two layers of 200 sigmoid units", (200, 200), HIDDEN)
_register("fc100-100-10@p1", "FC100-100-10 on half the training set", (100, 100), HIDDEN, 1)
_register("fc123-456-10@p1", "FC123-456-10 on the same half", (123, 456), HIDDEN, 1)
_register("fc100-100-10@p2", "FC100-100-10 on the other half", (100, 100), HIDDEN, 2)

CLASSIFIERS.register(
    "ae400-10", paper=SZEGEDY, summary="Softmax on the code of a sparse autoencoder"
)(OnFeatures())

CLASSIFIERS.register(
    "softmax", paper="arXiv:1412.6572", summary="Softmax regression, no weight decay"
)(Fitted(Dense(), Schedule(epochs=30, lr=3e-3), milliseconds=0.7))

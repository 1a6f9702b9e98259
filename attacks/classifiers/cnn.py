"""A small convolutional classifier, plain and trained against FGSM and PGD."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from attacks.classifiers.contracts import CLASSIFIERS, Shape
from attacks.classifiers.fitting import PLAIN, Fitted, Mixed, Objective, Schedule
from attacks.contracts import UNIT
from attacks.fgsm import Fgsm
from attacks.pgd import Pgd

RADIUS = 0.3


@dataclass(frozen=True)
class Cnn:
    """Two convolutions of stride 2 with ReLU, a hidden layer, a linear one."""

    widths: tuple[int, int] = (16, 32)
    hidden: int = 100

    def __call__(self, shape: Shape, classes: int) -> nn.Sequential:
        first, second = self.widths
        features = nn.Sequential(
            nn.Conv2d(shape[0], first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            flat = features(torch.zeros(1, *shape)).shape[1]
        return nn.Sequential(
            *features, nn.Linear(flat, self.hidden), nn.ReLU(), nn.Linear(self.hidden, classes)
        )


SCHEDULE = Schedule(epochs=20, lr=2e-3)
AGAINST_PGD = Mixed(Pgd(steps=5, step_size=0.4, keep="last"), RADIUS, alpha=0.0, box=UNIT, ramp=0.5)


def _register(
    name: str,
    summary: str,
    paper: str = "",
    objective: Objective = PLAIN,
    against: str = "",
    cost: float = 1,
) -> None:
    part = Fitted(Cnn(), SCHEDULE, objective, cost=cost, milliseconds=10.0)
    CLASSIFIERS.register(name, paper=paper, summary=summary, trained_against=against)(part)


_register("cnn", "Two convolutions, a hidden layer of 100 units")
_register(
    "cnn-fgsm",
    "The small CNN trained against FGSM",
    "arXiv:1412.6572",
    Mixed(Fgsm(), RADIUS, box=UNIT, ramp=0.5),
    "fgsm",
    2.5,
)
_register("cnn-pgd", "The small CNN trained against PGD", "arXiv:1706.06083", AGAINST_PGD, "pgd", 5)
_register(
    "cnn-pgd-copy",
    "Trained as cnn-pgd is, from other weights: for transfer between the two",
    "arXiv:1706.06083",
    AGAINST_PGD,
    "pgd",
    5,
)

"""The maxout network with dropout of Goodfellow et al. 2013, plain and trained against attacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attacks.classifiers.contracts import CLASSIFIERS, Ensemble, Shape
from attacks.classifiers.fitting import PLAIN, Fitted, Mixed, Objective, Schedule
from attacks.fgsm import Fgsm
from attacks.noise import SIGN, UNIFORM

FGSM = "arXiv:1412.6572"


class MaxoutLayer(nn.Module):
    """[n, inputs] to [n, units]: the largest of `pieces` linear functions each."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.units, self.pieces = units, pieces

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (self.units, self.pieces)).amax(2)


@dataclass(frozen=True)
class Maxout:
    """Two maxout layers; dropout of .2 on the input and .5 on the hidden units."""

    units: int = 240
    pieces: int = 5

    def __call__(self, shape: Shape, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.2),
            MaxoutLayer(math.prod(shape), self.units, self.pieces),
            nn.Dropout(0.5),
            MaxoutLayer(self.units, self.units, self.pieces),
            nn.Dropout(0.5),
            nn.Linear(self.units, classes),
        )


class MeanProbability(nn.Module):
    """The log of the members' mean probability: their vote as logits."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        votes = torch.stack([member(images).log_softmax(1) for member in self.members])
        return votes.logsumexp(0) - math.log(len(self.members))


@dataclass(frozen=True)
class Vote(Ensemble):
    """`count` trainings of one classifier that vote by their mean probability."""

    member: str
    count: int

    def combine(self, members: Sequence[nn.Module]) -> nn.Module:
        return MeanProbability(members).eval()


RADIUS = 0.25
SCHEDULE = Schedule(epochs=20, batch=200, lr=4e-3)


def _register(
    name: str, summary: str, objective: Objective = PLAIN, against: str = "", cost: float = 1
) -> None:
    part = Fitted(Maxout(), SCHEDULE, objective, cost=cost, milliseconds=5.0)
    facts = {"paper": FGSM, "summary": summary, "trained_against": against}
    CLASSIFIERS.register(name, **facts)(part)


_register("maxout", "Maxout network with dropout, two layers of 240 units")
_register("maxout-fgsm", "Maxout trained against FGSM", Mixed(Fgsm(), RADIUS), "fgsm", 3)
_register("maxout-sign", "Maxout trained on sign noise", Mixed(SIGN, RADIUS), "", 2)
_register("maxout-uniform", "Maxout trained on uniform noise", Mixed(UNIFORM, RADIUS), "", 2)

CLASSIFIERS.register("maxout-ensemble", paper=FGSM, summary="The vote of 12 maxout networks")(
    Vote("maxout", 12)
)

"""The small CNN trained by interval bounds, so that certificates hold for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attacks.certificates.chain import read
from attacks.certificates.intervals import intervals, margins_between
from attacks.certificates.region import Region
from attacks.classifiers.cnn import Cnn
from attacks.classifiers.contracts import CLASSIFIERS
from attacks.classifiers.fitting import Fitted, Objective, Schedule
from attacks.contracts import UNIT, Box


@dataclass(frozen=True)
class Interval(Objective):
    """kappa J(f(x), y) + (1 - kappa) J(z(x), y), where z is the worst that interval bounds leave
    possible within the radius: the label's logit minus each other one at its lower bound (Gowal et
    al. 2018, equations 11 to 13, the last layer elided).

    The radius grows from 0 over the training's share `ramp` after `warm`, and kappa falls from 1 to
    `kappa` with it. A batch norm is not read: bounds are those of evaluation.
    """

    radius: float
    kappa: float = 0.5
    warm: float = 0.05
    ramp: float = 0.5
    box: Box = UNIT
    norm: str = "linf"

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        grown = min(1.0, max(0.0, progress - self.warm) / self.ramp)
        loss = cross_entropy(network(images), labels)
        if not grown:
            return loss
        kappa = 1 - (1 - self.kappa) * grown
        return kappa * loss + (1 - kappa) * self._worst(network, images, labels, grown)

    def _worst(self, network: nn.Module, images: Tensor, labels: Tensor, share: float) -> Tensor:
        radii = torch.full_like(images.flatten(1)[:, 0], share * self.radius)
        region = Region(images, radii, self.norm, self.box)
        chain = read(network, images, lambda weight: weight)
        margins = margins_between(chain, region, intervals(chain, region), labels)
        return cross_entropy(-margins, labels)


CLASSIFIERS.register(
    "cnn-ibp",
    paper="arXiv:1810.12715",
    summary="The small CNN trained by interval bounds, linf .15",
)(
    Fitted(
        Cnn(),
        Schedule(epochs=40, lr=2e-3),
        Interval(0.15),
        cost=4,
        milliseconds=10.0,
    )
)

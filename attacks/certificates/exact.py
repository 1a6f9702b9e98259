"""The exact radius of a linear classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.certificates.chain import Chain, read
from attacks.certificates.contracts import CERTIFICATES, Reach, Reached, rounding
from attacks.certificates.intervals import pulled, specification
from attacks.contracts import UNIT, Box, Images, Model, Seeds
from attacks.gradients import ordinary
from attacks.halfspace import reach
from attacks.norms import PerImage, refuse, size
from bench.core.errors import UsageError

NEARER = 1 - 1e-9
"""A distance is given smaller by as much: it is computed in float64."""


@dataclass(frozen=True)
class Exact(Reach):
    """The distance to the nearest of the half-spaces in which another class has the larger logit:
    the margin over the dual norm of its slope; in a box by sorting, of every norm.
    """

    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def reach(
        self, model: Model, images: Images, *, norm: str, seeds: Seeds, box: Box = UNIT
    ) -> Reached:
        refuse(norm, self.norms, "exact")
        images = ordinary(images)
        with torch.no_grad():
            chain = read(model, images)
            if chain.activations:
                kind = type(chain.activations[0]).__name__
                raise UsageError(
                    "the certificate 'exact' is for linear classifiers, got one with an activation "
                    f"({kind}): use 'crown'"
                )
            if not len(images):
                none = images.new_zeros(0, dtype=torch.float64)
                return Reached(none.long(), none)
            return _reached(chain, images.double(), norm, box, rounding(model, chain, images))


def _reached(chain: Chain, images: Images, norm: str, box: Box, slack: PerImage) -> Reached:
    """predictions and radii, of images in float64."""
    predictions = chain(images).argmax(1)
    rows, constant = pulled(chain, 0, specification(predictions, chain.shapes[-1][0], images))
    ahead = (rows * images[:, None]).flatten(2).sum(2) + constant - slack[:, None]
    classes = [
        _distance(images, -rows[:, other], ahead[:, other], norm, box)
        for other in range(rows.shape[1])
    ]
    distances = torch.stack(classes, 1).scatter(1, predictions[:, None], torch.inf)
    return Reached(predictions, distances.amin(1) * NEARER)


def _distance(images: Images, slope: Images, gain: PerImage, norm: str, box: Box) -> Tensor:
    """How far it is to where a linear function has grown by `gain`; infinity where the box does not
    let it.
    """
    there = reach(images, slope, gain, norm, box)
    grown = ((there - images) * slope).flatten(1).sum(1)
    far = size(there - images, norm)
    return torch.where(grown >= gain * NEARER, far, torch.inf).where(gain > 0, 0.0)


CERTIFICATES.register("exact", summary="The radius of a linear classifier", takes="linear")(Exact())

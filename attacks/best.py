"""The best of several searches: one after another, and of each image the nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.ddn import Ddn
from attacks.deepfool import DeepFool
from attacks.fab import Fab
from attacks.fmn import Fmn
from attacks.norms import refuse, size
from attacks.pdpgd import Pdpgd
from attacks.sigma_zero import SigmaZero

NOBODY = -1


def nearest(
    attacks: Sequence[MinimalNorm],
    model: Model,
    images: Images,
    labels: Labels,
    *,
    norm: str,
    seeds: Seeds,
    box: Box = UNIT,
    targets: Labels | None = None,
) -> tuple[Images, Int[Tensor, " batch"]]:
    """The nearest of what several searches find for each image, and the place in the list of the
    one that found it (the first of several that are as near); -1 where none finds anything, and the
    image is as it came. Distances are compared in float64.
    """
    best = images.clone()
    least = torch.full((len(images),), torch.inf, dtype=torch.float64, device=images.device)
    finder = torch.full_like(labels, NOBODY)
    for place, attack in enumerate(attacks):
        found = attack(model, images, labels, norm=norm, seeds=seeds, box=box, targets=targets)
        far = size(found.double() - images.double(), norm)
        nearer = (far > 0) & (far < least)
        best[nearer], least[nearer], finder[nearer] = found[nearer], far[nearer], place
    return best, finder


@dataclass(frozen=True)
class Best(MinimalNorm):
    """The nearest of what the searches of a norm find: `members` of it, in that order.

    steps: of each, instead of its own.
    """

    steps: int = 100
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1", "l0")

    def members(self, norm: str) -> tuple[MinimalNorm, ...]:
        """The searches of a norm. Raises UsageError for an unknown one."""
        refuse(norm, self.norms, "best")
        known: dict[str, tuple[MinimalNorm, ...]] = {
            "linf": (Fmn(steps=self.steps), Fab(steps=self.steps), DeepFool(steps=self.steps)),
            "l2": (Ddn(steps=self.steps), Fmn(steps=self.steps), Fab(steps=self.steps)),
            "l1": (Pdpgd(iterations=self.steps), Fmn(steps=self.steps), Fab(steps=self.steps)),
            "l0": (SigmaZero(steps=self.steps), Fmn(steps=self.steps)),
        }
        return known[norm]

    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        targets: Labels | None = None,
    ) -> Images:
        given = {"norm": norm, "seeds": seeds, "box": box, "targets": targets}
        return nearest(self.members(norm), model, images, labels, **given)[0]


ATTACKS.register(
    "best",
    summary="The nearest of what several searches find, image by image",
)(Best())

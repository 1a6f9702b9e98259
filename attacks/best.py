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
MEMBERS = {
    "linf": ("fmn", "fab", "deepfool"),
    "l2": ("ddn", "fmn", "fab"),
    "l1": ("pdpgd", "fmn", "fab"),
    "l0": ("sigma-zero", "fmn"),
}
"""Of each norm, in their order."""


def nearest(
    images: Images, found: Sequence[Images], norm: str
) -> tuple[Images, Int[Tensor, " batch"]]:
    """Of what several searches found for each image the nearest to it, and the place in the list of
    the one that found it (the first of several that are as near); -1 where none moved it: it is as
    it came. Distances are compared in float64.
    """
    best = images.clone()
    least = torch.full((len(images),), torch.inf, dtype=torch.float64, device=images.device)
    finder = torch.full_like(least, NOBODY, dtype=torch.int64)
    for place, attacked in enumerate(found):
        far = size(attacked.double() - images.double(), norm)
        nearer = (far > 0) & (far < least)
        best[nearer], least[nearer], finder[nearer] = attacked[nearer], far[nearer], place
    return best, finder


@dataclass(frozen=True)
class Best(MinimalNorm):
    """The nearest of what the searches of a norm find: `members` of it, in that order.

    steps: of each, instead of its own.
    """

    steps: int = 100
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1", "l0")

    def members(self, norm: str) -> tuple[tuple[str, MinimalNorm], ...]:
        """The searches of a norm with their names. Raises UsageError for an unknown norm."""
        refuse(norm, self.norms, "best")
        known: dict[str, MinimalNorm] = {
            "fmn": Fmn(steps=self.steps),
            "fab": Fab(steps=self.steps),
            "deepfool": DeepFool(steps=self.steps),
            "ddn": Ddn(steps=self.steps),
            "pdpgd": Pdpgd(iterations=self.steps),
            "sigma-zero": SigmaZero(steps=self.steps),
        }
        return tuple((name, known[name]) for name in MEMBERS[norm])

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
        found = [member(model, images, labels, **given) for _, member in self.members(norm)]
        return nearest(images, found, norm)[0]


ATTACKS.register(
    "best",
    summary="The nearest of what several searches find, image by image",
)(Best())

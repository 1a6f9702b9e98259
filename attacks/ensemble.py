"""Several attacks as one: each is tried on the images that withstood those before it."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, final

import torch
from jaxtyping import Int
from torch import Tensor

from attacks.contracts import (
    UNIT,
    Box,
    FixedBudget,
    Images,
    Labels,
    Model,
    Radius,
    Seeds,
    Stop,
)
from attacks.goals import Goal
from attacks.gradients import look
from attacks.norms import refuse

Members = tuple[tuple[str, FixedBudget], ...]
"""Names and attacks, in their order."""

Finders = Int[Tensor, " batch"]
"""Of each image the member that reached the goal, by its place; NOBODY where none did."""

NOBODY = -1


class Ensemble(FixedBudget):
    """The worst case of several attacks, image by image: a member is given those that withstood the
    members before it. Where none reaches the goal the image nearest to it is returned. An image is
    done with its first success whatever `stop` says; `stop` is for the members.
    """

    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    @abstractmethod
    def members(self, norm: str) -> Members:
        """The attacks, under the names that say on the rows who found how much."""

    @final
    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        radius: Radius,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        stop: Stop = "never",
        targets: Labels | None = None,
    ) -> Images:
        goal = Goal(labels, targets)
        return self.found(
            model, images, goal, radius=radius, norm=norm, seeds=seeds, box=box, stop=stop
        )[0]

    @final
    def found(
        self,
        model: Model,
        images: Images,
        goal: Goal,
        *,
        radius: Radius,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        stop: Stop = "never",
    ) -> tuple[Images, Finders]:
        """The attacked images and who reached the goal. Raises UsageError for an unknown norm."""
        refuse(norm, self.norms, "an ensemble")
        goal, result = goal.ordinary(), images.clone()
        finders = torch.full_like(goal.labels, NOBODY)
        radii = torch.as_tensor(radius, dtype=images.dtype, device=images.device)
        radii = radii.expand(len(images))
        leads, left = torch.full_like(radii, -torch.inf), (radii > 0).nonzero()[:, 0]
        given = {"norm": norm, "box": box, "stop": stop}
        for place, (_, member) in enumerate(self.members(norm)):
            if not len(left):
                break
            aims = {} if goal.targets is None else {"targets": goal.targets[left]}
            own = {"radius": radii[left], "seeds": seeds[left], **aims}
            tried = member(model, images[left], goal.labels[left], **own, **given)
            logits, some = look(model, tried), goal.only(left)
            ahead, reached = some.lead(logits).to(leads), some.reached(logits)
            better = reached | (ahead > leads[left])
            result[left[better]], leads[left[better]] = tried[better], ahead[better]
            finders[left[reached]] = place
            left = left[~reached]
        return result, finders

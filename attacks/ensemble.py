"""Several attacks as one: each is tried on the images that withstood those before it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from attacks.contracts import (
    UNIT,
    Attack,
    AttackFacts,
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
from attacks.gradients import look, ordinary
from attacks.norms import refuse
from bench.core.errors import UsageError
from bench.core.registry import Entry

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
        with torch.inference_mode(False):
            some = (ordinary(images), goal.ordinary(), radius, ordinary(seeds))
            return self._found(model, *some, norm=norm, box=box, stop=stop)

    def _found(
        self,
        model: Model,
        images: Images,
        goal: Goal,
        radius: Radius,
        seeds: Seeds,
        *,
        norm: str,
        box: Box,
        stop: Stop,
    ) -> tuple[Images, Finders]:
        result = images.clone()
        finders = torch.full_like(goal.labels, NOBODY)
        radii = torch.as_tensor(radius, dtype=images.dtype, device=images.device)
        radii = radii.expand(len(images))
        leads, left = torch.full_like(radii, -torch.inf), (radii > 0).nonzero()[:, 0]
        given = {"norm": norm, "box": box, "stop": stop}
        for place, (_, member) in enumerate(self.members(norm)):
            if not len(left):
                break
            some = goal[left]
            own = {"radius": radii[left], "seeds": seeds[left], **some.aims()}
            tried = member(model, images[left], some.labels, **own, **given)
            logits = look(model, tried)
            ahead, reached = some.lead(logits).to(leads), some.reached(logits)
            better = reached | (ahead > leads[left])
            result[left[better]], leads[left[better]] = tried[better], ahead[better]
            finders[left[reached]] = place
            left = left[~reached]
        return result, finders


@dataclass(frozen=True)
class Several(Ensemble):
    """Attacks that are put together by name, in the norms that all of them know."""

    parts: Members
    norms: tuple[str, ...]  # pyright: ignore[reportIncompatibleVariableOverride]

    def members(self, norm: str) -> Members:
        return self.parts


def together(entries: Sequence[Entry[Attack, AttackFacts]]) -> Entry[Attack, AttackFacts]:
    """Registered attacks as one, under their names with + between. Raises UsageError for a search,
    for one that is named twice, and where they know no norm in common.
    """
    name = "+".join(entry.name for entry in entries)
    parts = [(entry.name, entry.part) for entry in entries]
    fixed = tuple((known, part) for known, part in parts if isinstance(part, FixedBudget))
    if len(fixed) < len(parts):
        odd = next(known for known, part in parts if not isinstance(part, FixedBudget))
        raise UsageError(f"attack '{name}': {odd} searches for the smallest perturbation: leave it")
    if len(dict(fixed)) < len(fixed):
        raise UsageError(f"attack '{name}': expected each attack once")
    norms = [part.norms for _, part in fixed]
    common = tuple(norm for norm in norms[0] if all(norm in other for other in norms))
    if not common:
        raise UsageError(f"attack '{name}': expected attacks that know a norm in common")
    facts = AttackFacts(
        gradients=any(entry.facts.gradients for entry in entries),
        noise=all(entry.facts.noise for entry in entries),
        batchwise=any(entry.facts.batchwise for entry in entries),
        draws=any(entry.facts.draws for entry in entries),
        aims=all(entry.facts.aims for entry in entries),
    )
    summary = "the worst case of several attacks"
    return Entry(name, Several(fixed, common), "", summary, entries[0].origin, facts)

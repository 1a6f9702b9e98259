"""Attacks by way of another network: one that is fitted on the spot, or one that is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contracts import (
    ATTACKS,
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
from attacks.gradients import differentiable, look, ordinary
from attacks.norms import refuse, spread
from attacks.objectives import answered
from attacks.pgd import Pgd
from attacks.radii import moving
from attacks.surrogate import Lessons, Surrogate, around, learn, targets_of

CLIMB = Pgd(steps=20, step_size=0.125, keep="last")


@dataclass(frozen=True)
class Substitute(FixedBudget):
    """Papernot et al. 2017, section 4: a surrogate learns the classifier's answers on the images
    and `copies` of each with noise of the radius; what PGD makes of it is asked about, and these
    answers are learned as well, `rounds` times. Of each image's points the one of the highest lead.

    Deviations: the whole answer is learned, not the class alone (where there is more, it tells
    more); the points that are asked about are those that the attack would return (theirs go along
    the sign of a Jacobian); each round learns on from the last. An image's result depends on its
    batch mates, whose answers are learned as well.
    """

    steps: int = 100
    copies: int = 6
    rounds: int = 3
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

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
        refuse(norm, self.norms, "substitute")

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            given = {"radius": radii, "norm": norm, "seeds": drawn, "box": box}
            low, high = box or (float(x.min()), float(x.max()))
            data = around(x, drawn, self.copies, _a_pixel(radii, norm, x), low, high)
            shares = targets_of(look(model, data))
            network = Surrogate(tuple(x.shape[1:]), shares.shape[1], 0, x)
            best, lead = x, torch.full_like(radii, -torch.inf)
            for turn in range(self.rounds):
                learn(network, data, shares, Lessons(self.steps), turn)
                made = CLIMB(network, x, goal.labels, **given, **goal.aims())
                logits = look(model, made)
                new = goal.lead(logits)
                known = answered(logits) if turn == 0 else new > lead
                higher = spread(known, x).bool()
                best, lead = torch.where(higher, made, best), torch.maximum(new, lead)
                data, shares = torch.cat([data, made]), torch.cat([shares, targets_of(logits)])
                if stop == "first_success" and bool((lead > 0).all()):
                    break
            return best

        with differentiable():
            goal = Goal(labels, targets).ordinary()
            return moving(attack, ordinary(images), goal, radius, ordinary(seeds))


def _a_pixel(radii: Tensor, norm: str, images: Images) -> Tensor:
    """What noise of the radius moves a pixel by: the radius, or its share of a pixel."""
    pixels = images[0].numel()
    return radii * {"linf": 1.0, "l2": (3 / pixels) ** 0.5, "l1": 2 / pixels}[norm]


@dataclass(frozen=True, eq=False)
class Secondhand(FixedBudget):
    """What an attack makes of another network, whoever the victim is: its images are told nothing
    of the victim at all.
    """

    source: Model
    attack: FixedBudget
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

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
        aims = Goal(labels, targets).aims()
        given = {"radius": radius, "norm": norm, "seeds": seeds, "box": box}
        return self.attack(self.source, images, labels, **given, **aims)


ATTACKS.register(
    "substitute",
    paper="arXiv:1602.02697",
    summary="PGD on a surrogate that learns the classifier's answers on the spot",
    gradients=False,
    batchwise=True,
    draws=True,
    aims=True,
)(Substitute())

"""What Auto-PGD climbs: one of three losses, for any wrong class or for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from attacks.contracts import Images, Labels, Model
from attacks.goals import Goal
from attacks.gradients import ascent
from attacks.objectives import (
    Logits,
    PerImage,
    ahead,
    answered,
    dlr,
    dlr_ahead,
    lead,
    margin,
    towards,
)

Loss = Literal["lead", "ce", "dlr"]

FOR_ANY = {"lead": lead, "ce": margin, "dlr": dlr}
FOR_ONE = {
    "lead": ahead,
    "ce": lambda logits, labels, aims: towards(logits, aims),
    "dlr": dlr_ahead,
}


@dataclass(frozen=True)
class Height:
    """What a climb raises, [n, classes] to [n]: the lead of the wanted class, the margin ("ce":
    cross-entropy's order and direction, without its underflow) or the lead over the spread of the
    logits ("dlr"). draws: of a model that answers at random, that are averaged at every point.
    """

    loss: Loss = "lead"
    draws: int = 1

    def of(self, logits: Logits, goal: Goal, aims: Labels | None) -> PerImage:
        """For any wrong class, for one class each (`aims`), or for the goal's targets; minus
        infinity where a logit is not finite.
        """
        if goal.targets is not None:
            value = -FOR_ANY[self.loss](logits, goal.targets)
        elif aims is not None:
            value = FOR_ONE[self.loss](logits, goal.labels, aims)
        else:
            value = FOR_ANY[self.loss](logits, goal.labels)
        return torch.where(answered(logits), value, -torch.inf)

    def seen(
        self, model: Model, points: Images, goal: Goal, aims: Labels | None
    ) -> tuple[Images, PerImage, PerImage]:
        """The slope, the height and the goal's lead at some points."""

        def objective(logits: Logits, _: Labels) -> PerImage:
            return self.of(logits, goal, aims)

        slope, logits = ascent(model, points, goal.labels, objective)
        height, ahead = self.of(logits, goal, aims), goal.lead(logits)
        for _ in range(self.draws - 1):
            more, logits = ascent(model, points, goal.labels, objective)
            slope, height = slope + more, height + self.of(logits, goal, aims)
            ahead = ahead + goal.lead(logits)
        return slope / self.draws, height / self.draws, ahead / self.draws

"""What an image is attacked for: to be taken for anything but its label, or for a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from attacks.contracts import Images, Labels, Model
from attacks.gradients import ascent, misled, ordinary
from attacks.objectives import Logits, PerImage, answered, lead, margin, towards
from bench.core.errors import UsageError


@dataclass(frozen=True)
class Goal:
    """Labels, and targets where images are to be taken for one class each."""

    labels: Labels
    targets: Labels | None = None

    def __getitem__(self, kept: Tensor) -> Goal:
        """Of some images."""
        return Goal(self.labels[kept], None if self.targets is None else self.targets[kept])

    def aims(self) -> dict[str, Any]:
        """The keyword that an attack is given targets with, where there are any."""
        return {} if self.targets is None else {"targets": self.targets}

    def ordinary(self) -> Goal:
        """In tensors that may be part of a graph."""
        aims = None if self.targets is None else ordinary(self.targets)
        return Goal(ordinary(self.labels), aims)

    def rise(self, logits: Logits) -> PerImage:
        """What a step climbs: the margin of the wrong classes, or of the target."""
        if self.targets is None:
            return margin(logits, self.labels)
        return towards(logits, self.targets)

    def lead(self, logits: Logits) -> PerImage:
        """How far ahead the wanted answer is: positive where the goal is reached; minus infinity
        where a logit is not finite.
        """
        if self.targets is None:
            return lead(logits, self.labels)
        return torch.where(answered(logits), -lead(logits, self.targets), -torch.inf)

    def reached(self, logits: Logits) -> Bool[Tensor, " batch"]:
        """Whether each image is taken for what it is to be taken for."""
        if self.targets is None:
            return misled(logits, self.labels)
        return (logits.argmax(1) == self.targets) & answered(logits)


def slope(
    model: Model, images: Images, goal: Goal, ceiling: float | None = None
) -> tuple[Images, Logits]:
    """The gradient of what a step climbs, at the images, and the logits there; zero above the
    ceiling, where there is one.
    """
    own = goal.ordinary()

    def risen(logits: Logits, _: Labels) -> PerImage:
        values = own.rise(logits)
        return values if ceiling is None else values.clamp_max(ceiling)

    return ascent(model, images, own.labels, risen)


def likeliest(logits: Logits, labels: Labels) -> Labels:
    """The wrong classes of each image, the likeliest first, [classes - 1, batch]."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.argsort(dim=1, descending=True, stable=True)[:, :-1].T


def check_targets(targets: Labels, labels: Labels, classes: int, who: str) -> None:
    """Raise UsageError for targets that `who` can't aim at: of another number than the images,
    equal to the label, or no class.
    """
    if targets.shape != labels.shape:
        raise UsageError(
            f"{who} expected a target for each of {len(labels)} images, got "
            f"{tuple(targets.shape)}: pass int64[{len(labels)}], or none"
        )
    wrong = (targets < 0) | (targets >= classes)
    if bool(wrong.any()):
        raise UsageError(
            f"{who} expected targets from 0 to {classes - 1}, got {int(targets[wrong][0])}: the "
            f"model has {classes} classes"
        )
    if bool((targets == labels).any()):
        where = int((targets == labels).nonzero()[0])
        raise UsageError(
            f"{who} expected targets other than the labels, got {int(targets[where])} for image "
            f"{where}, which is its label: leave it out or aim at another class"
        )

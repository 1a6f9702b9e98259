"""What the parts of this package promise: an attack turns images into images, and no more.

Images are in the range of their box, [0, 1] unless said otherwise; radii are in the same units.
`seeds` holds an int64 for each image: its noise depends on nothing else, its batch mates least.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bench.core.registry import Registry

Images = Float[Tensor, "batch *image"]
"""A batch of images or points."""

Labels = Int[Tensor, " batch"]
"""A class for each."""

Seeds = Int[Tensor, " batch"]
"""What an image's own random numbers derive from."""

Model = Callable[[Tensor], Tensor]
"""Images [n, ...] to logits [n, classes]."""

Radius = float | Float[Tensor, " batch"]
"""How far an attack may go: the same for all, or each image's own."""

Box = tuple[float, float] | None
"""The range that pixels must keep; None for protocols that do not clip."""

Norm = Literal["linf", "l2", "l1", "l0"]
Stop = Literal["never", "first_success"]

UNIT: Box = (0.0, 1.0)


class FixedBudget(ABC):
    """An attack that is given a radius and uses it.

    norms: that it knows. The result is at most `radius` away from `images` in `norm` and, unless
    `box` is None, inside the box. `stop="first_success"` lets an image leave as soon as it is
    misclassified: it serves robust accuracy alone, never transfer or confidence.
    """

    norms: ClassVar[tuple[str, ...]]

    @abstractmethod
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
        """The attacked images. `targets`: what each is to be taken for, where the attack's facts
        say that it can aim; None leaves the choice to it. Raises UsageError for a norm it does not
        know, and for targets that it can't aim at.
        """


class Ray(FixedBudget):
    """An attack whose direction does not depend on the radius: one serves a whole curve."""

    @abstractmethod
    def direction(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        norm: str,
        seeds: Seeds,
        targets: Labels | None = None,
    ) -> Images:
        """Where to go, for every radius. Raises UsageError for a norm it does not know."""

    @abstractmethod
    def along(
        self, images: Images, direction: Images, *, radius: Radius, norm: str, box: Box = UNIT
    ) -> Images:
        """The images, moved by `radius` in that direction and put back into the box."""

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
        if not bool((torch.as_tensor(radius) > 0).any()):
            return images.clone()
        aims = {} if targets is None else {"targets": targets}
        direction = self.direction(model, images, labels, norm=norm, seeds=seeds, **aims)
        return self.along(images, direction, radius=radius, norm=norm, box=box)


class MinimalNorm(ABC):
    """An attack that looks for the nearest misclassified image, at any distance.

    The result is the original where it found nothing, and where the image is misclassified as it
    stands.
    """

    norms: ClassVar[tuple[str, ...]]

    @abstractmethod
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
        """The attacked images. `targets`: what each is to be taken for; None leaves the choice to
        the attack. Raises UsageError for a norm it does not know.
        """


Attack = FixedBudget | MinimalNorm


@dataclass(frozen=True)
class AttackFacts:
    """gradients: whether it asks the model for any (False: a black box, or noise). noise: whether
    it looks at neither model nor label. batchwise: an image's result depends on its batch mates
    by design. draws: other seeds give other results. aims: whether one with a fixed budget can be
    given targets.
    """

    gradients: bool = True
    noise: bool = False
    batchwise: bool = False
    draws: bool = False
    aims: bool = False


ATTACKS: Registry[Attack, AttackFacts] = Registry("attack", AttackFacts, listed_as="attacks")

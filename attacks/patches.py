"""Patches by how they are made: fitted to mislead, and what they are to be compared with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from torch.nn.functional import interpolate

from attacks.contracts import Labels, Model, Seeds
from attacks.gradients import look
from attacks.patch import Fitting, Patch, Placing, fit
from attacks.pixels import Pixels
from attacks.streams import uniform
from bench.core.errors import UsageError
from bench.core.registry import Registry

PAPER = "arXiv:1712.09665"


@dataclass(frozen=True, eq=False)
class Purpose:
    """What a patch is for: a classifier is to take these images for the target when it lies in
    them. seeds: an int64 for each image.
    """

    model: Model
    images: Pixels
    labels: Labels
    seeds: Seeds
    target: int
    placing: Placing

    @property
    def side(self) -> int:
        """Of the patch, in pixels."""
        return self.placing.side(*self.images.shape[2:])


class PatchMaker(ABC):
    """Makes a picture that is to be laid into images."""

    @abstractmethod
    def __call__(self, purpose: Purpose) -> Patch:
        """A patch [channels, side, side] in [0, 1]. Raises UsageError where it needs images that
        are not there.
        """


@dataclass(frozen=True)
class Fitted(PatchMaker):
    """Brown et al. 2017: fitted to the classifier, in expectation over transformations.

    everywhere: False leaves the expectation out: upright, at its largest, in the middle.
    """

    fitting: Fitting = field(default_factory=Fitting)
    everywhere: bool = True

    def __call__(self, purpose: Purpose) -> Patch:
        where = purpose.placing
        if not self.everywhere:
            where = Placing(where.area, where.shape, (1.0, 1.0), 0.0, (0.5, 0.5))
        return fit(
            purpose.model,
            purpose.images,
            purpose.labels,
            target=purpose.target,
            placing=where,
            seeds=purpose.seeds,
            fitting=self.fitting,
        )


@dataclass(frozen=True)
class Noise(PatchMaker):
    """Pixels uniform in [0, 1], by the first image's seed: nobody searched for them."""

    def __call__(self, purpose: Purpose) -> Patch:
        shape = (purpose.images.shape[1], purpose.side, purpose.side)
        return uniform(purpose.seeds[:1], shape)[0].to(purpose.images)


@dataclass(frozen=True)
class Photo(PatchMaker):
    """The image of the target class that the classifier is surest of, made as small as the patch:
    what a patch would be if all it did was to show the target.
    """

    def __call__(self, purpose: Purpose) -> Patch:
        shown, side = purpose.images[purpose.labels == purpose.target], purpose.side
        if not len(shown):
            raise UsageError(
                f"a photo of the target needs images of class {purpose.target}: got none"
            )
        if not side:
            return shown.new_zeros(shown.shape[1], 0, 0)
        surest = int(look(purpose.model, shown).log_softmax(1)[:, purpose.target].argmax())
        chosen = shown[surest : surest + 1]
        small = interpolate(chosen, size=(side, side), mode="bilinear", antialias=True)
        return small[0].clamp(0, 1)


@dataclass(frozen=True)
class PatchFacts:
    """noise: nobody searched for it: a floor. draws: other seeds give another one."""

    noise: bool = False
    draws: bool = False


PATCHES: Registry[PatchMaker, PatchFacts] = Registry("patch", PatchFacts, listed_as="patches")

PATCHES.register(
    "adversarial",
    paper=PAPER,
    summary="Fitted over images, places, scales and rotations",
    draws=True,
)(Fitted())
PATCHES.register(
    "in-one-place",
    paper=PAPER,
    summary="Fitted upright in the middle of every image: no expectation over transformations",
    draws=True,
)(Fitted(everywhere=False))
PATCHES.register("photo", summary="The surest image of the target class, made small")(Photo())
PATCHES.register("noise", summary="Uniform pixels", noise=True, draws=True)(Noise())
